-- Unique keys, indexes and foreign keys of the sample MES, named as Prisma names them.
-- Apart from schema.sql because a load of a million rows builds them afterwards.

CREATE UNIQUE INDEX "Supplier_supplierCode_key" ON "Supplier"("supplierCode");
CREATE UNIQUE INDEX "Customer_customerCode_key" ON "Customer"("customerCode");
CREATE UNIQUE INDEX "Material_materialCode_key" ON "Material"("materialCode");
CREATE UNIQUE INDEX "Equipment_assetTag_key" ON "Equipment"("assetTag");

CREATE UNIQUE INDEX "Part_partNumber_key" ON "Part"("partNumber");
CREATE INDEX "Part_partNumber_idx" ON "Part"("partNumber");

CREATE UNIQUE INDEX "Operation_partId_sequence_key" ON "Operation"("partId", "sequence");

CREATE UNIQUE INDEX "MaterialLot_lotNumber_key" ON "MaterialLot"("lotNumber");
CREATE INDEX "MaterialLot_materialId_idx" ON "MaterialLot"("materialId");
CREATE INDEX "MaterialLot_supplierId_idx" ON "MaterialLot"("supplierId");
CREATE INDEX "MaterialLot_heatNumber_idx" ON "MaterialLot"("heatNumber");

CREATE UNIQUE INDEX "WorkOrder_workOrderNumber_key" ON "WorkOrder"("workOrderNumber");
CREATE INDEX "WorkOrder_partId_idx" ON "WorkOrder"("partId");
CREATE INDEX "WorkOrder_customerId_idx" ON "WorkOrder"("customerId");
CREATE INDEX "WorkOrder_status_idx" ON "WorkOrder"("status");

CREATE UNIQUE INDEX "SerializedPart_serialNumber_key" ON "SerializedPart"("serialNumber");
CREATE INDEX "SerializedPart_serialNumber_idx" ON "SerializedPart"("serialNumber");
CREATE INDEX "SerializedPart_partId_idx" ON "SerializedPart"("partId");
CREATE UNIQUE INDEX "SerializedPart_serialNumber_partId_key" ON "SerializedPart"("serialNumber", "partId");

CREATE INDEX "QIFMeasurementPlan_partId_idx" ON "QIFMeasurementPlan"("partId");
CREATE UNIQUE INDEX "QIFMeasurementPlan_planNumber_version_key" ON "QIFMeasurementPlan"("planNumber", "version");

CREATE UNIQUE INDEX "QIFCharacteristic_planId_characteristicNumber_key"
    ON "QIFCharacteristic"("planId", "characteristicNumber");

CREATE INDEX "QIFMeasurementResult_characteristicId_idx" ON "QIFMeasurementResult"("characteristicId");
CREATE INDEX "QIFMeasurementResult_serializedPartId_idx" ON "QIFMeasurementResult"("serializedPartId");
CREATE INDEX "QIFMeasurementResult_workOrderId_idx" ON "QIFMeasurementResult"("workOrderId");

CREATE UNIQUE INDEX "ECORequest_ecoNumber_key" ON "ECORequest"("ecoNumber");
CREATE INDEX "ECORequest_partId_idx" ON "ECORequest"("partId");

ALTER TABLE "Operation" ADD CONSTRAINT "Operation_partId_fkey"
    FOREIGN KEY ("partId") REFERENCES "Part"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "MaterialLot" ADD CONSTRAINT "MaterialLot_materialId_fkey"
    FOREIGN KEY ("materialId") REFERENCES "Material"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "MaterialLot" ADD CONSTRAINT "MaterialLot_supplierId_fkey"
    FOREIGN KEY ("supplierId") REFERENCES "Supplier"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WorkOrder" ADD CONSTRAINT "WorkOrder_partId_fkey"
    FOREIGN KEY ("partId") REFERENCES "Part"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "WorkOrder" ADD CONSTRAINT "WorkOrder_customerId_fkey"
    FOREIGN KEY ("customerId") REFERENCES "Customer"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "SerializedPart" ADD CONSTRAINT "SerializedPart_partId_fkey"
    FOREIGN KEY ("partId") REFERENCES "Part"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "QIFMeasurementPlan" ADD CONSTRAINT "QIFMeasurementPlan_partId_fkey"
    FOREIGN KEY ("partId") REFERENCES "Part"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "QIFCharacteristic" ADD CONSTRAINT "QIFCharacteristic_planId_fkey"
    FOREIGN KEY ("planId") REFERENCES "QIFMeasurementPlan"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "QIFMeasurementResult" ADD CONSTRAINT "QIFMeasurementResult_characteristicId_fkey"
    FOREIGN KEY ("characteristicId") REFERENCES "QIFCharacteristic"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "QIFMeasurementResult" ADD CONSTRAINT "QIFMeasurementResult_serializedPartId_fkey"
    FOREIGN KEY ("serializedPartId") REFERENCES "SerializedPart"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
ALTER TABLE "QIFMeasurementResult" ADD CONSTRAINT "QIFMeasurementResult_workOrderId_fkey"
    FOREIGN KEY ("workOrderId") REFERENCES "WorkOrder"("id") ON DELETE SET NULL ON UPDATE CASCADE;
ALTER TABLE "ECORequest" ADD CONSTRAINT "ECORequest_partId_fkey"
    FOREIGN KEY ("partId") REFERENCES "Part"("id") ON DELETE RESTRICT ON UPDATE CASCADE;
