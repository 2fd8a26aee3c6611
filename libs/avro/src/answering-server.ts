/** A server for tests that answers what no registry does. Nothing here is used at run time. */
import { once } from "node:events";
import { createServer } from "node:http";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";

export interface AnsweringServer extends AsyncDisposable {
  readonly port: number;
  readonly url: string;
  /** `METHOD path`, in order. */
  readonly requests: readonly string[];
}

/** Listens on a free port of the loopback interface and lets `answer` deal with every request. */
export async function answerWith(
  answer: (response: ServerResponse, request: IncomingMessage) => void,
): Promise<AnsweringServer> {
  const requests: string[] = [];
  const server = createServer((request, response) => {
    requests.push(`${request.method} ${request.url}`);
    request.resume();
    request.on("end", () => {
      answer(response, request);
    });
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    port,
    url: `http://127.0.0.1:${port}`,
    requests,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

/** Answers every request alike. */
export function answerAlways(
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = { "content-type": "application/vnd.schemaregistry.v1+json" },
): Promise<AnsweringServer> {
  return answerWith((response) => {
    response.writeHead(status, headers).end(body);
  });
}
