-- CreateIndex
CREATE UNIQUE INDEX "Company_orgId_domain_key" ON "Company"("orgId", "domain");
