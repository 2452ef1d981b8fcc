-- The rows of the sample MES: every value follows from the row's ordinal and the seed alone.
-- Parameters: first, last (ordinals of this batch), seed, and the row count of each table by its name.

-- section: functions

-- The i-th of `children` rows spread evenly belongs to this one of `parents` rows, ...
CREATE OR REPLACE FUNCTION pg_temp.parent(i bigint, children bigint, parents bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS $$ SELECT i * parents / children $$;

-- ... whose children begin at this ordinal.
CREATE OR REPLACE FUNCTION pg_temp.first_child(parent bigint, children bigint, parents bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS $$ SELECT (parent * children + parents - 1) / parents $$;

-- Bytes that look random. sha256 and not md5, which a FIPS server refuses.
CREATE OR REPLACE FUNCTION pg_temp.draw(tag text, i bigint, seed text) RETURNS bytea
    LANGUAGE sql IMMUTABLE AS $$ SELECT sha256((tag || ':' || i::text || ':' || seed)::bytea) $$;

-- A number from 0 to sides - 1, taken from three bytes at `place`.
CREATE OR REPLACE FUNCTION pg_temp.dice(h bytea, place int, sides bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS
$$ SELECT mod(get_byte(h, place) * 65536 + get_byte(h, place + 1) * 256 + get_byte(h, place + 2), sides) $$;

-- The plant's history lasts from 2022-01-03 until 2025-10-31, and each table grows evenly.
CREATE OR REPLACE FUNCTION pg_temp.moment(i bigint, total bigint) RETURNS timestamp
    LANGUAGE sql IMMUTABLE AS
$$ SELECT TIMESTAMP '2022-01-03 06:00' + (i * 120700800000 / total) * INTERVAL '1 millisecond' $$;

-- 'cl' as of the years 2022 to 2024, seven digits that grow with the time, sixteen of the draw.
-- Genuine CUIDs count the time in base 36; hexadecimal is valid too and takes a fifth of the time.
CREATE OR REPLACE FUNCTION pg_temp.cuid(h bytea, i bigint, total bigint) RETURNS text
    LANGUAGE sql IMMUTABLE AS
$$ SELECT 'cl' || to_hex(16777216 + i * 251658240 / total)
               || translate(lower(left(encode(h, 'base64'), 16) COLLATE "C"), '+/', '07') $$;

CREATE OR REPLACE FUNCTION pg_temp.id_of(tag text, i bigint, total bigint, seed text) RETURNS text
    LANGUAGE sql IMMUTABLE AS
$$ SELECT pg_temp.cuid(pg_temp.draw(tag, i, seed), i, total) $$;

-- The part a work order makes: one of those the plant already had at that time. Arithmetic in place
-- of a draw (the golden section scatters well enough), for each result comes by here.
CREATE OR REPLACE FUNCTION pg_temp.ordered_part(i bigint, orders bigint, parts bigint) RETURNS bigint
    LANGUAGE sql IMMUTABLE AS
$$ SELECT mod(i * 2654435761, 4294967296) * greatest(1, i * parts / orders) / 4294967296 $$;

CREATE OR REPLACE FUNCTION pg_temp.lot_number(i bigint, lots bigint) RETURNS text
    LANGUAGE sql IMMUTABLE AS
$$ SELECT 'LOT-' || (22 + i * 4 / lots)::text || '-' || lpad((i + 1)::text, 6, '0') $$;

-- OFFSET 0, here and below, keeps the planner from computing the draw once for every use of it.
CREATE OR REPLACE FUNCTION pg_temp.drawn(tag text, first bigint, last bigint, total bigint, seed text)
    RETURNS TABLE (n bigint, h bytea, id text, at timestamp) LANGUAGE sql IMMUTABLE AS
$$ SELECT n, h, pg_temp.cuid(h, n, total), pg_temp.moment(n, total)
     FROM (SELECT n, pg_temp.draw(tag, n, seed) AS h FROM generate_series(first, last) AS n OFFSET 0) AS d $$;

-- section: Supplier
INSERT INTO "Supplier" ("id", "supplierCode", "name", "approval", "createdAt", "updatedAt")
SELECT id, 'SUP-' || lpad((n + 1)::text, 5, '0'),
       (ARRAY['Ridgeline', 'Northfield', 'Harbor', 'Summit', 'Ironbridge', 'Lakeshore', 'Redstone', 'Fairway',
              'Kestrel', 'Millbrook'])[1 + pg_temp.dice(h, 0, 10)] || ' '
       || (ARRAY['Alloys', 'Specialty Metals', 'Steel Service', 'Forge', 'Titanium Supply', 'Bar & Plate',
                 'Castings'])[1 + pg_temp.dice(h, 3, 7)],
       (ARRAY['APPROVED', 'APPROVED', 'APPROVED', 'CONDITIONAL'])[1 + pg_temp.dice(h, 6, 4)], at, at
  FROM pg_temp.drawn('Supplier', %(first)s, %(last)s, %(Supplier)s, %(seed)s);

-- section: Customer
INSERT INTO "Customer" ("id", "customerCode", "name", "status", "createdAt", "updatedAt")
SELECT id, 'CUS-' || lpad((n + 1)::text, 5, '0'),
       (ARRAY['Meridian', 'Crestline', 'Bluewater', 'Tidewater', 'Polaris', 'Granite', 'Highland', 'Westgate',
              'Cobalt', 'Arrowhead'])[1 + pg_temp.dice(h, 0, 10)] || ' '
       || (ARRAY['Aerostructures', 'Medical Devices', 'Turbine Systems', 'Hydraulics', 'Robotics', 'Marine Drives',
                 'Instruments'])[1 + pg_temp.dice(h, 3, 7)],
       (ARRAY['ACTIVE', 'ACTIVE', 'ACTIVE', 'ON_HOLD'])[1 + pg_temp.dice(h, 6, 4)], at, at
  FROM pg_temp.drawn('Customer', %(first)s, %(last)s, %(Customer)s, %(seed)s);

-- section: Material
INSERT INTO "Material" ("id", "materialCode", "description", "specification", "createdAt", "updatedAt")
SELECT id, alloy || '-' || form || '-' || lpad(size::text, 4, '0'),
       alloy || ' ' || (CASE form WHEN 'BAR' THEN 'round bar' WHEN 'PLT' THEN 'plate' ELSE 'forging stock' END)
       || ', ' || size || ' mm',
       (ARRAY['AMS-QQ-A-250/12', 'AMS-QQ-A-225/8', 'ASTM A276', 'ASTM A564', 'AMS 4928', 'AMS 5662', 'AMS 6414',
              'ASTM B150'])[1 + mod(n, 8)], at, at
  FROM pg_temp.drawn('Material', %(first)s, %(last)s, %(Material)s, %(seed)s),
       LATERAL (SELECT (ARRAY['7075-T6', '6061-T6', '316L', '17-4PH', 'TI-6AL-4V', 'IN718', '4340',
                              'C63000'])[1 + mod(n, 8)] AS alloy,
                       (ARRAY['BAR', 'PLT', 'FRG'])[1 + mod(n / 8, 3)] AS form,
                       10 + 5 * (n / 24) AS size) AS stock;

-- section: Equipment
INSERT INTO "Equipment" ("id", "assetTag", "name", "status", "calibrationDueAt", "createdAt", "updatedAt")
SELECT id, (ARRAY['CMM', 'MILL', 'LATHE', 'GRIND', 'EDM', 'DEBUR'])[1 + mod(n, 6)] || '-' || lpad((n + 1)::text, 4, '0'),
       (ARRAY['Bridge coordinate measuring machine', '5-axis machining center', 'CNC turning center',
              'Cylindrical grinder', 'Wire EDM', 'Deburring cell'])[1 + mod(n, 6)],
       (ARRAY['AVAILABLE', 'IN_USE', 'IN_USE', 'MAINTENANCE'])[1 + pg_temp.dice(h, 0, 4)],
       CASE WHEN mod(n, 6) = 0 THEN at + INTERVAL '365 days' END, at, at
  FROM pg_temp.drawn('Equipment', %(first)s, %(last)s, %(Equipment)s, %(seed)s);

-- section: Part
INSERT INTO "Part" ("id", "partNumber", "description", "materialType", "status", "createdAt", "updatedAt")
SELECT id,
       (ARRAY['BRK', 'HSG', 'SHF', 'FLG', 'MNF', 'BSH', 'PLT', 'ADP', 'IMP', 'PIN'])[kind] || '-' || (10000 + n) || '-'
       || (ARRAY['A', 'B', 'C', 'D'])[1 + pg_temp.dice(h, 3, 4)],
       (ARRAY['Actuator', 'Bearing', 'Pump', 'Valve', 'Gearbox', 'Sensor', 'Hinge',
              'Compressor'])[1 + pg_temp.dice(h, 6, 8)] || ' '
       || (ARRAY['bracket', 'housing', 'shaft', 'flange', 'manifold', 'bushing', 'plate', 'adapter', 'impeller',
                 'pin'])[kind],
       (ARRAY['7075-T6', '6061-T6', '316L', '17-4PH', 'Ti-6Al-4V', 'Inconel 718',
              '4340'])[1 + pg_temp.dice(h, 9, 7)],
       (ARRAY['ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'ACTIVE', 'IN_REVIEW',
              'OBSOLETE'])[1 + pg_temp.dice(h, 12, 8)],
       at, at + pg_temp.dice(h, 15, 400) * INTERVAL '1 hour'
  FROM pg_temp.drawn('Part', %(first)s, %(last)s, %(Part)s, %(seed)s),
       LATERAL (SELECT 1 + pg_temp.dice(h, 0, 10) AS kind) AS k;

-- section: Operation
INSERT INTO "Operation"
    ("id", "partId", "sequence", "description", "setupMinutes", "cycleSeconds", "createdAt", "updatedAt")
SELECT id, pg_temp.id_of('Part', part, %(Part)s, %(seed)s),
       10 * (n - pg_temp.first_child(part, %(Operation)s, %(Part)s) + 1),
       (ARRAY['Saw blank', 'Rough turn', 'Finish turn', '5-axis mill', 'Drill and tap', 'Grind bearing seat',
              'Deburr', 'CMM inspection'])[1 + pg_temp.dice(h, 0, 8)],
       5 * pg_temp.dice(h, 3, 24), 30 + pg_temp.dice(h, 6, 1800), at, at
  FROM pg_temp.drawn('Operation', %(first)s, %(last)s, %(Operation)s, %(seed)s),
       LATERAL (SELECT pg_temp.parent(n, %(Operation)s, %(Part)s) AS part OFFSET 0) AS p;

-- section: MaterialLot
INSERT INTO "MaterialLot"
    ("id", "lotNumber", "materialId", "heatNumber", "supplierId", "quantity", "unit", "receivedAt", "expiresAt",
     "status", "createdAt", "updatedAt")
SELECT id, pg_temp.lot_number(n, %(MaterialLot)s),
       pg_temp.id_of('Material', material, %(Material)s, %(seed)s),
       'H' || lpad(pg_temp.dice(h, 3, 1000000)::text, 6, '0'),
       pg_temp.id_of('Supplier', supplier, %(Supplier)s, %(seed)s),
       (50 + pg_temp.dice(h, 9, 4000)) / 2.0, 'kg', at - INTERVAL '3 hours',
       CASE WHEN pg_temp.dice(h, 12, 5) = 0 THEN at + INTERVAL '730 days' END,
       (ARRAY['AVAILABLE', 'AVAILABLE', 'IN_USE', 'CONSUMED', 'CONSUMED', 'CONSUMED',
              'QUARANTINED'])[1 + pg_temp.dice(h, 15, 7)],
       at, at + pg_temp.dice(h, 18, 900) * INTERVAL '1 hour'
  FROM pg_temp.drawn('MaterialLot', %(first)s, %(last)s, %(MaterialLot)s, %(seed)s),
       LATERAL (SELECT pg_temp.dice(h, 0, greatest(1, n * %(Material)s / %(MaterialLot)s)) AS material,
                       pg_temp.dice(h, 6, greatest(1, n * %(Supplier)s / %(MaterialLot)s)) AS supplier
                OFFSET 0) AS o;

-- section: WorkOrder
INSERT INTO "WorkOrder"
    ("id", "workOrderNumber", "partId", "customerId", "quantity", "quantityCompleted", "dueDate", "priority",
     "status", "createdAt", "updatedAt")
SELECT id, 'WO-' || to_char(at, 'YYYY') || '-' || lpad((n + 1)::text, 6, '0'),
       pg_temp.id_of('Part', part, %(Part)s, %(seed)s),
       CASE WHEN pg_temp.dice(h, 0, 8) > 0 THEN pg_temp.id_of('Customer', customer, %(Customer)s, %(seed)s) END,
       quantity,
       CASE state WHEN 'COMPLETED' THEN quantity WHEN 'IN_PROGRESS' THEN quantity / 2 ELSE 0 END,
       date_trunc('day', at) + (14 + pg_temp.dice(h, 6, 45)) * INTERVAL '1 day',
       (ARRAY['LOW', 'NORMAL', 'NORMAL', 'NORMAL', 'HIGH', 'URGENT'])[1 + pg_temp.dice(h, 9, 6)],
       state, at, at + pg_temp.dice(h, 12, 700) * INTERVAL '1 hour'
  FROM pg_temp.drawn('WorkOrder', %(first)s, %(last)s, %(WorkOrder)s, %(seed)s),
       LATERAL (SELECT pg_temp.ordered_part(n, %(WorkOrder)s, %(Part)s) AS part,
                       pg_temp.dice(h, 3, greatest(1, n * %(Customer)s / %(WorkOrder)s)) AS customer,
                       5 * (1 + pg_temp.dice(h, 15, 40)) AS quantity,
                       -- The oldest nine tenths are done.
                       CASE WHEN n * 10 < 9 * %(WorkOrder)s THEN 'COMPLETED'
                            ELSE (ARRAY['CREATED', 'RELEASED', 'IN_PROGRESS', 'IN_PROGRESS', 'ON_HOLD',
                                        'COMPLETED'])[1 + pg_temp.dice(h, 18, 6)] END AS state OFFSET 0) AS o;

-- section: SerializedPart
INSERT INTO "SerializedPart"
    ("id", "serialNumber", "partId", "manufacturingDate", "lotNumber", "status", "createdAt", "updatedAt")
SELECT id, 'SN' || to_char(at, 'YYMM') || '-' || lpad((n + 1)::text, 7, '0'),
       pg_temp.id_of('Part', part, %(Part)s, %(seed)s), at, pg_temp.lot_number(lot, %(MaterialLot)s),
       (ARRAY['ACTIVE', 'ACTIVE', 'ACTIVE', 'SHIPPED', 'SHIPPED', 'SHIPPED', 'SHIPPED', 'REWORK',
              'SCRAPPED'])[1 + pg_temp.dice(h, 3, 9)],
       at, at + pg_temp.dice(h, 6, 300) * INTERVAL '1 hour'
  FROM pg_temp.drawn('SerializedPart', %(first)s, %(last)s, %(SerializedPart)s, %(seed)s),
       LATERAL (SELECT pg_temp.parent(n, %(SerializedPart)s, %(WorkOrder)s) AS work_order OFFSET 0) AS w,
       LATERAL (SELECT pg_temp.ordered_part(work_order, %(WorkOrder)s, %(Part)s) AS part,
                       pg_temp.dice(h, 0, greatest(1, n * %(MaterialLot)s / %(SerializedPart)s)) AS lot
                OFFSET 0) AS o;

-- section: QIFMeasurementPlan
INSERT INTO "QIFMeasurementPlan"
    ("id", "planNumber", "version", "partId", "name", "status", "createdAt", "updatedAt")
SELECT id, 'MP-' || (10000 + part), version || '.0',
       pg_temp.id_of('Part', part, %(Part)s, %(seed)s),
       (ARRAY['Final inspection', 'First article inspection', 'In-process inspection',
              'Receiving inspection'])[1 + mod(part, 4)],
       CASE WHEN n + 1 < pg_temp.first_child(part + 1, %(QIFMeasurementPlan)s, %(Part)s)
            THEN 'SUPERSEDED' ELSE 'ACTIVE' END,
       at, at
  FROM pg_temp.drawn('QIFMeasurementPlan', %(first)s, %(last)s, %(QIFMeasurementPlan)s, %(seed)s),
       LATERAL (SELECT pg_temp.parent(n, %(QIFMeasurementPlan)s, %(Part)s) AS part OFFSET 0) AS p,
       LATERAL (SELECT n - pg_temp.first_child(part, %(QIFMeasurementPlan)s, %(Part)s) + 1 AS version) AS v;

-- section: QIFCharacteristic
INSERT INTO "QIFCharacteristic"
    ("id", "planId", "characteristicNumber", "name", "characteristicType", "balloonNumber", "nominalValue",
     "toleranceUpper", "toleranceLower", "unit", "createdAt", "updatedAt")
SELECT id, pg_temp.id_of('QIFMeasurementPlan', plan, %(QIFMeasurementPlan)s, %(seed)s), number,
       (ARRAY['Bore diameter', 'Overall length', 'Hole pattern position', 'Mounting face flatness', 'Chamfer angle',
              'Shoulder perpendicularity', 'Journal diameter', 'Slot width', 'Seat roundness', 'Journal cylindricity',
              'Datum face parallelism', 'Contour profile', 'Bearing seat runout', 'Fillet radius', 'Port depth',
              'Flange thickness'])[kind],
       (ARRAY['DIAMETER', 'LENGTH', 'POSITION', 'FLATNESS', 'ANGLE', 'PERPENDICULARITY', 'DIAMETER', 'WIDTH',
              'CIRCULARITY', 'CYLINDRICITY', 'PARALLELISM', 'PROFILE', 'RUNOUT', 'RADIUS', 'DEPTH',
              'THICKNESS'])[kind],
       number::text,
       CASE WHEN kind IN (3, 4, 6) OR kind BETWEEN 9 AND 13 THEN 0 WHEN kind = 5 THEN (ARRAY[15, 30, 45, 60])[1 + pg_temp.dice(h, 3, 4)]
            ELSE (100 + pg_temp.dice(h, 6, 4900)) / 20.0 END,
       CASE WHEN kind = 7 THEN 0 WHEN kind = 5 THEN 0.5 ELSE width / 1000.0 END,
       CASE WHEN kind IN (1, 3, 4, 6) OR kind BETWEEN 9 AND 13 THEN 0 WHEN kind = 5 THEN -0.5 ELSE -width / 1000.0 END,
       -- Port and flange come from a supplier who draws in inches.
       CASE WHEN kind = 5 THEN 'deg' WHEN kind >= 15 THEN 'in' ELSE 'mm' END, at, at
  FROM pg_temp.drawn('QIFCharacteristic', %(first)s, %(last)s, %(QIFCharacteristic)s, %(seed)s),
       LATERAL (SELECT pg_temp.parent(n, %(QIFCharacteristic)s, %(QIFMeasurementPlan)s) AS plan OFFSET 0) AS p,
       LATERAL (SELECT n - pg_temp.first_child(plan, %(QIFCharacteristic)s, %(QIFMeasurementPlan)s) + 1 AS number,
                       1 + pg_temp.dice(h, 0, 16) AS kind,
                       (ARRAY[13, 21, 25, 50, 100])[1 + pg_temp.dice(h, 9, 5)] AS width OFFSET 0) AS k;

-- section: QIFMeasurementResult
-- A serialized part is measured against the newest plan of its part. Deviations are whole tenths of a
-- micrometre with a last digit other than 0, so that none lies exactly on a limit; they gather
-- around the middle of the tolerance, whose limits are about 2.4 standard deviations away.
INSERT INTO "QIFMeasurementResult"
    ("id", "characteristicId", "serializedPartId", "workOrderId", "measuredValue", "deviation", "status",
     "deviceName", "operatorBadge", "measuredAt", "createdAt", "updatedAt")
SELECT m.id, c."id", m.serial_id, CASE WHEN pg_temp.dice(m.h, 0, 12) > 0 THEN m.order_id END,
       nominal + tenths / 10000.0, tenths / 10000.0,
       CASE WHEN tenths BETWEEN lower AND upper THEN 'PASS' ELSE 'FAIL' END,
       'CMM-' || lpad((6 * pg_temp.dice(m.h, 3, 1 + (%(Equipment)s - 1) / 6) + 1)::text, 4, '0'),
       'B-' || lpad((100 + pg_temp.dice(m.h, 6, 300))::text, 4, '0'),
       m.at, m.at, m.at
  FROM (SELECT d.*, s.serial_id, s.order_id, s.first + mod(d.n + serial, s.next - s.first) AS characteristic
          FROM pg_temp.drawn('QIFMeasurementResult', %(first)s, %(last)s, %(QIFMeasurementResult)s, %(seed)s) AS d
          JOIN (SELECT serial, pg_temp.id_of('SerializedPart', serial, %(SerializedPart)s, %(seed)s) AS serial_id,
                       pg_temp.id_of('WorkOrder', work_order, %(WorkOrder)s, %(seed)s) AS order_id,
                       pg_temp.first_child(plan, %(QIFCharacteristic)s, %(QIFMeasurementPlan)s) AS first,
                       pg_temp.first_child(plan + 1, %(QIFCharacteristic)s, %(QIFMeasurementPlan)s) AS next
                  FROM (SELECT serial, work_order,
                               pg_temp.first_child(
                                   1 + pg_temp.ordered_part(work_order, %(WorkOrder)s, %(Part)s),
                                   %(QIFMeasurementPlan)s, %(Part)s) - 1 AS plan
                          FROM generate_series(
                                   pg_temp.parent(%(first)s, %(QIFMeasurementResult)s, %(SerializedPart)s),
                                   pg_temp.parent(%(last)s, %(QIFMeasurementResult)s, %(SerializedPart)s)) AS serial,
                               LATERAL (SELECT pg_temp.parent(serial, %(SerializedPart)s, %(WorkOrder)s)
                                               AS work_order OFFSET 0) AS w OFFSET 0) AS made OFFSET 0) AS s
            ON s.serial = pg_temp.parent(d.n, %(QIFMeasurementResult)s, %(SerializedPart)s)) AS m
  JOIN (SELECT row_number() OVER (ORDER BY "id" COLLATE "C") - 1 AS n, "id", "nominalValue"::numeric AS nominal,
               ("toleranceLower"::numeric * 10000)::int AS lower, ("toleranceUpper"::numeric * 10000)::int AS upper
          FROM "QIFCharacteristic") AS c ON c.n = m.characteristic,
       LATERAL (SELECT (lower + upper) / 2 + (upper - lower) / 2
                       * (2 * (get_byte(m.h, 12) + get_byte(m.h, 13) + get_byte(m.h, 14)) - 765) / 612 AS raw OFFSET 0) AS r,
       LATERAL (SELECT raw - mod(raw, 10) + 1 + mod(get_byte(m.h, 15), 9) AS fine OFFSET 0) AS v,
       LATERAL (SELECT CASE WHEN nominal = 0 THEN abs(fine) ELSE fine END AS tenths OFFSET 0) AS a
 ORDER BY m.n;

-- section: ECORequest
INSERT INTO "ECORequest"
    ("id", "ecoNumber", "partId", "title", "reason", "status", "requestedAt", "effectiveAt", "createdAt", "updatedAt")
SELECT id, 'ECO-' || to_char(at, 'YYYY') || '-' || lpad((n + 1)::text, 5, '0'),
       pg_temp.id_of('Part', part, %(Part)s, %(seed)s),
       (ARRAY['Tighten bore tolerance', 'Change material to 17-4PH', 'Add chamfer to mounting face',
              'Relax flatness callout', 'Update thread relief', 'Revise surface finish'])[1 + pg_temp.dice(h, 3, 6)],
       (ARRAY['Field return', 'Cost reduction', 'Customer drawing revision', 'Assembly interference',
              'Supplier change'])[1 + pg_temp.dice(h, 6, 5)],
       state, at, CASE WHEN state = 'IMPLEMENTED' THEN at + (7 + pg_temp.dice(h, 9, 60)) * INTERVAL '1 day' END,
       at, at + pg_temp.dice(h, 12, 500) * INTERVAL '1 hour'
  FROM pg_temp.drawn('ECORequest', %(first)s, %(last)s, %(ECORequest)s, %(seed)s),
       LATERAL (SELECT (ARRAY['DRAFT', 'UNDER_REVIEW', 'APPROVED', 'IMPLEMENTED', 'IMPLEMENTED', 'IMPLEMENTED',
                              'REJECTED'])[1 + pg_temp.dice(h, 15, 7)] AS state,
                       pg_temp.dice(h, 0, greatest(1, n * %(Part)s / %(ECORequest)s)) AS part OFFSET 0) AS o;
