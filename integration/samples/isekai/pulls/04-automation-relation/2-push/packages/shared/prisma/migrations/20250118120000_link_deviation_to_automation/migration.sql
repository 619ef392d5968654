-- AlterTable
ALTER TABLE "deviations" ADD COLUMN "automation_id" TEXT;

-- CreateIndex
CREATE INDEX "deviations_automation_id_idx" ON "deviations"("automation_id");

-- AddForeignKey
ALTER TABLE "deviations"
ADD CONSTRAINT "deviations_automation_id_fkey"
FOREIGN KEY ("automation_id") REFERENCES "automations"("id") ON DELETE SET NULL;
