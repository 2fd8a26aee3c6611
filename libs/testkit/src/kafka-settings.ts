import { localCertificate } from "./local-certificate.ts";
import type { KafkaOptions } from "./throwaway-kafka.ts";

/** The three ports of a node. */
export interface NodePorts {
  readonly client: number;
  /** Where clients are sent to. */
  readonly advertised: number;
  /** Between brokers, never secured: what a test secures is the clients' listener. */
  readonly internal: number;
  readonly controller: number;
}

type Settings = Readonly<Record<string, string>>;

/** What makes a small cluster quick to start, to fail over and to notice a dead member. */
export function clusterSettings(index: number, ports: readonly NodePorts[]): Settings {
  const replicas = String(ports.length);
  const least = ports.length === 1 ? "1" : "2";
  return {
    "process.roles": "broker,controller",
    "node.id": String(index + 1),
    "controller.quorum.voters": ports.map(({ controller }, node) => `${node + 1}@127.0.0.1:${controller}`).join(","),
    "controller.listener.names": "CONTROLLER",
    "inter.broker.listener.name": "INTERNAL",
    "default.replication.factor": replicas,
    "min.insync.replicas": least,
    "offsets.topic.replication.factor": replicas,
    "offsets.topic.num.partitions": "3",
    "transaction.state.log.replication.factor": replicas,
    "transaction.state.log.min.isr": least,
    "transaction.state.log.num.partitions": "3",
    "share.coordinator.state.topic.replication.factor": replicas,
    "share.coordinator.state.topic.min.isr": least,
    "transaction.abort.timed.out.transaction.cleanup.interval.ms": "1000",
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    "auto.create.topics.enable": "false",
    "log.cleaner.dedupe.buffer.size": "16777216",
    "log.segment.bytes": "67108864",
    "num.network.threads": "2",
    "num.io.threads": "4",
    "broker.session.timeout.ms": "6000",
    "broker.heartbeat.interval.ms": "1000",
    "controller.quorum.fetch.timeout.ms": "2000",
    "controller.quorum.election.timeout.ms": "1000",
  };
}

export function listenerSettings(
  index: number,
  ports: readonly NodePorts[],
  { ssl = false, sasl = false }: NonNullable<KafkaOptions["security"]>,
  login: { readonly username: string; readonly password: string },
): Settings {
  const own = ports[index];
  if (own === undefined) throw new Error("a node has ports");
  const protocol = sasl ? (ssl ? "SASL_SSL" : "SASL_PLAINTEXT") : ssl ? "SSL" : "PLAINTEXT";
  const internal = `INTERNAL://127.0.0.1:${own.internal}`;
  const jaas = "org.apache.kafka.common.security";
  const account = `username="${login.username}" password="${login.password}"`;
  return {
    listeners: `CLIENT://127.0.0.1:${own.client},${internal},CONTROLLER://127.0.0.1:${own.controller}`,
    "advertised.listeners": `CLIENT://127.0.0.1:${own.advertised},${internal}`,
    "listener.security.protocol.map": `CLIENT:${protocol},INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT`,
    ...(sasl
      ? {
          "sasl.enabled.mechanisms": "PLAIN,SCRAM-SHA-256,SCRAM-SHA-512",
          "listener.name.client.plain.sasl.jaas.config": `${jaas}.plain.PlainLoginModule required ${account} user_${login.username}="${login.password}";`,
          "listener.name.client.scram-sha-256.sasl.jaas.config": `${jaas}.scram.ScramLoginModule required;`,
          "listener.name.client.scram-sha-512.sasl.jaas.config": `${jaas}.scram.ScramLoginModule required;`,
        }
      : {}),
    ...(ssl
      ? {
          "ssl.keystore.type": "PEM",
          "ssl.keystore.certificate.chain": oneLine(localCertificate.certificate),
          "ssl.keystore.key": oneLine(localCertificate.key),
        }
      : {}),
  };
}

/** A value of several lines, as a properties file holds it. */
function oneLine(text: string): string {
  return text.trim().replaceAll("\n", "\\n");
}
