-- Rollback of add_user_role_field: by hand, never by Prisma.
ALTER TABLE "User" DROP COLUMN "role";
DROP TYPE "UserRole";
