// Express and Prisma with its driver adapter: the external route as a hand-written MES has it.
import { PrismaPg } from "@prisma/adapter-pg";
import { isUUID } from "class-validator";
import express, { type Request, type Response } from "express";
import { PrismaClient } from "./generated/client.ts";

const prisma = new PrismaClient({ adapter: new PrismaPg({ connectionString: process.env.DATABASE_URL }) });
const app = express();

app.get("/api/v1/external/parts/:uuid", async (req: Request, res: Response) => {
  const { uuid } = req.params;
  if (!isUUID(uuid)) {
    return res.status(400).json({
      error: "Invalid UUID format",
      provided: uuid,
      example: "550e8400-e29b-41d4-a716-446655440000",
    });
  }
  try {
    const part = await prisma.part.findUnique({
      where: { persistentUuid: uuid },
      select: {
        id: false,
        persistentUuid: true,
        partNumber: true,
        description: true,
        materialType: true,
        status: true,
        createdAt: true,
        updatedAt: true,
      },
    });
    if (!part) {
      return res.status(404).json({ error: "Part not found", uuid });
    }
    res.json({ data: part, metadata: { requestedUuid: uuid, timestamp: new Date().toISOString() } });
  } catch (error) {
    console.error("Error fetching part by UUID:", error);
    res.status(500).json({ error: "Internal server error" });
  }
});

app.listen(Number(process.env.PORT), "127.0.0.1");
