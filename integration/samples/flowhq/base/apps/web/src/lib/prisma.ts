import { PrismaClient } from "@flowhq/shared";

const cached = globalThis as unknown as { prisma?: PrismaClient };

export const prisma = cached.prisma ?? new PrismaClient();

if (process.env.NODE_ENV !== "production") cached.prisma = prisma;
