// A replica of the service that delivers to PostgreSQL: `main.ts [FILE]`, see docs/configuration.md.
import { runService } from "@datatrace/standalone/service";
import { postgresSink } from "./index.ts";

process.exitCode = await runService(postgresSink, process.argv.slice(2), process.env);
