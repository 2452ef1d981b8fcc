// What a partner writes with the generated types; prints what it found as JSON.
import createClient from "openapi-fetch";
import type { components, paths } from "./schema.js";

const client = createClient<paths>({
  baseUrl: process.env["API_URL"]!,
  headers: { authorization: `Bearer ${process.env["API_TOKEN"]}` },
});
const unknown = "f81d4fae-7dec-41d0-a765-00a0c91e6bf6";

// A list, filtered and sorted, page by page.
const page = (cursor: string | null) =>
  client.GET("/api/v1/external/material-lots", {
    params: {
      query: {
        status: ["AVAILABLE", "CONSUMED"],
        "receivedAt.gte": "2000-01-01",
        sort: ["-lotNumber"],
        limit: 2,
        ...(cursor === null ? {} : { cursor }),
      },
    },
  });
const listed: (string | undefined)[] = [];
let cursor: string | null = null;
do {
  const answer: Awaited<ReturnType<typeof page>> = await page(cursor);
  if (answer.error) throw new Error(answer.error.detail);
  listed.push(...answer.data.data.map((lot) => lot.lotNumber));
  cursor = answer.data.pagination.nextCursor;
} while (cursor !== null);

// One record, by UUID and by what people call it.
const parts = await client.GET("/api/v1/external/parts", { params: { query: { limit: 3 } } });
const uuids = parts.data!.data.map((part) => part.persistentUuid!);
const uuid = uuids[0]!;
const one = await client.GET("/api/v1/external/parts/{uuid}", { params: { path: { uuid } } });
const part: components["schemas"]["PartExternal"] = one.data!.data;
const again = await client.GET("/api/v1/external/parts/by/partNumber/{value}", {
  params: { path: { value: part.partNumber! } },
});

// Many at once, and the one that is not there.
const batch = await client.POST("/api/v1/external/parts/batch", { body: { uuids: [...uuids, unknown] } });

// Which entity it is decides about the type of the record.
const resolved = await client.GET("/api/v1/external/resolve/{uuid}", { params: { path: { uuid } } });
const found = resolved.data!.data;
const number = found.entity === "Part" ? found.record.partNumber : undefined;

// What is not there is a problem, typed.
const missing = await client.GET("/api/v1/external/parts/{uuid}", { params: { path: { uuid: unknown } } });
const problem: components["schemas"]["Problem"] = missing.error!;

// What is wrong does not compile.
// @ts-expect-error: no such member
part.partNumberr;
// @ts-expect-error: no such path
client.GET("/api/v1/external/partz", {});
// @ts-expect-error: a limit is a number
client.GET("/api/v1/external/parts", { params: { query: { limit: "3" } } });

console.log(
  JSON.stringify({
    listed,
    one: part,
    again: again.data!.data,
    batch: batch.data!.data.map((record) => record.persistentUuid),
    notFound: batch.data!.notFoundUuids,
    number,
    status: missing.response.status,
    problem: problem.type,
    uuid: problem.uuid,
  }),
);
