INSERT INTO "tenants" ("id", "name", "phone_number", "status", "updated_at") VALUES
  ('tnt_salon', 'Amani Salon', '+255700000001', 'ACTIVE', '2026-02-25 08:00:00'),
  ('tnt_duka', 'Duka la Juma', '+255700000002', 'QR_PENDING', '2026-02-25 08:00:00'),
  ('tnt_clinic', 'Mwanga Clinic', '+255700000003', 'PAUSED', '2026-02-25 08:00:00')
ON CONFLICT ("id") DO UPDATE SET "status" = EXCLUDED."status";

INSERT INTO "tenant_configs" ("id", "tenant_id", "template_type", "business_name", "language", "hours_json", "updated_at") VALUES
  ('cfg_salon', 'tnt_salon', 'BOOKING', 'Amani Salon', 'SW', '{"mon": ["09:00", "18:00"]}', '2026-02-25 08:00:00'),
  ('cfg_duka', 'tnt_duka', 'ECOMMERCE', 'Duka la Juma', 'SW', '{}', '2026-02-25 08:00:00'),
  ('cfg_clinic', 'tnt_clinic', 'SUPPORT', 'Mwanga Clinic', 'EN', '{"sun": []}', '2026-02-25 08:00:00')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "whatsapp_sessions" ("id", "tenant_id", "state", "updated_at") VALUES
  ('ses_salon', 'tnt_salon', 'CONNECTED', '2026-02-25 08:00:00'),
  ('ses_duka', 'tnt_duka', 'QR_READY', '2026-02-25 08:00:00')
ON CONFLICT ("id") DO NOTHING;

INSERT INTO "worker_processes" ("id", "tenant_id", "pm2_name", "status", "updated_at") VALUES
  ('wrk_salon', 'tnt_salon', 'flowhq-worker-tnt_salon', 'RUNNING', '2026-02-25 08:00:00'),
  ('wrk_duka', 'tnt_duka', 'flowhq-worker-tnt_duka', 'STOPPED', '2026-02-25 08:00:00')
ON CONFLICT ("id") DO NOTHING;
