// Express and node-postgres: its pool, and a statement prepared once per connection.
import express from "express";
import pg from "pg";

const pool = new pg.Pool({ connectionString: process.env.DATABASE_URL });
const app = express();
const FORM = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
const TEXT = `SELECT "persistentUuid", "partNumber", "description", "materialType", "status", "createdAt", "updatedAt"
                FROM "Part" WHERE "persistentUuid" = $1`;

app.get("/api/v1/external/parts/:uuid", async (req, res) => {
  const { uuid } = req.params;
  if (!FORM.test(uuid)) {
    return res.status(400).json({ error: "Invalid UUID format", provided: uuid });
  }
  try {
    const { rows } = await pool.query({ name: "part-by-uuid", text: TEXT, values: [uuid] });
    if (rows.length === 0) {
      return res.status(404).json({ error: "Part not found", uuid });
    }
    res.json({ data: rows[0], metadata: { requestedUuid: uuid, timestamp: new Date().toISOString() } });
  } catch (error) {
    console.error("Error fetching part by UUID:", error);
    res.status(500).json({ error: "Internal server error" });
  }
});

app.listen(Number(process.env.PORT), "127.0.0.1");
