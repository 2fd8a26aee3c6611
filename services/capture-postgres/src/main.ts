// A replica of the service that captures from PostgreSQL: `main.ts [FILE]`, see docs/configuration.md.
import { runService } from "@datatrace/standalone/service";
import { postgresSource } from "./index.ts";

process.exitCode = await runService(postgresSource, process.argv.slice(2), process.env);
