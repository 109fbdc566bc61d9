import { createServer } from 'node:net';
import { networkInterfaces } from 'node:os';
import type { Config } from '../config/schema.ts';
import type { DefinedService } from './definitions.ts';
import { listenersOf, type Listener } from './listeners.ts';
import type { Part } from '../shared/parts.ts';

/** Why an address cannot be listened on, by the system's code. Other failures are left to the listening part. */
const REASONS: Readonly<Record<string, string>> = {
  EADDRINUSE: 'address already in use',
  EACCES: 'not permitted',
  EADDRNOTAVAIL: 'not an address of this machine',
};

/**
 * The first part of the proxy. It reports a second start, or a port that another process uses, before the proxy touches the
 * journal and before other replicas know of it. If a port is taken after this check, the listening fails.
 */
export function createPortCheck(config: Config, services: readonly DefinedService[]): Part {
  return {
    name: 'listening',
    start: async () => {
      const listeners = listenersOf(config, services);
      refuse('a service would be asked for at the proxy itself', callsOfOurselves(config, services));
      refuse('every port must be used once', portsUsedTwice(config, services));
      // The proxy that this one replaces still listens.
      if (config.proxy.takeOverMs > 0) return;
      await refuseTakenPorts(listeners);
    },
    stop: async () => undefined,
  };
}

/** @throws Error naming every port that cannot be listened on */
export async function refuseTakenPorts(listeners: readonly Listener[]): Promise<void> {
  const problems = await Promise.all(listeners.map(problemOf));
  refuse(
    'every port must be free',
    problems.filter((problem) => problem !== undefined),
  );
}

function refuse(what: string, problems: readonly string[]): void {
  if (problems.length > 0)
    throw new Error(`${what}\n${problems.map((problem) => `  - ${problem}`).join('\n')}`);
}

/** Binds and closes it again. */
function problemOf({ key, host, port }: Listener): Promise<string | undefined> {
  if (port > LAST_PORT)
    return Promise.resolve(`${key} ${host}:${port}: not a port, because the last one is ${LAST_PORT}`);
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', (error: NodeJS.ErrnoException) => {
      const reason = REASONS[error.code ?? ''];
      resolve(reason === undefined ? undefined : `${key} ${host}:${port}: ${reason}`);
    });
    server.listen({ port, host: host === '*' ? ANY : host, exclusive: true }, () => {
      server.close(() => resolve(undefined));
    });
  });
}

const ANY = '0.0.0.0';
const LAST_PORT = 65_535;
const ALL_ADDRESSES: ReadonlySet<string> = new Set(['*', ANY, '::']);
const TARGET = /^[a-z]+:\/\/(\[[^\]]+\]|[^:/]+):(\d+)/;
const LOOPBACK = /^(?:localhost|127\.[0-9.]+|\[?::1\]?)$/;

/** Ports may come from the definitions, so the settings alone do not show every call of the proxy to itself. */
export function callsOfOurselves(config: Config, services: readonly DefinedService[]): string[] {
  const listeners = listenersOf(config, services);
  return services.flatMap(({ name, config: { legacy } }) =>
    Object.entries({ endpoint: legacy.endpoint, pubEndpoint: legacy.pubEndpoint }).flatMap(
      ([key, address]) => {
        const self = listeners.find((listener) => isAddressOf(address, listener));
        return self === undefined
          ? []
          : [`services.${name}.legacy.${key} is the proxy's own address: ${self.key} is ${self.port} too`];
      },
    ),
  );
}

/** Two services may bring the same port in their definitions, such as two copies of one example. */
export function portsUsedTwice(config: Config, services: readonly DefinedService[]): string[] {
  const listeners = listenersOf(config, services);
  return listeners.flatMap((listener, index) => {
    const other = listeners.slice(0, index).find((one) => collide(one, listener));
    return other === undefined
      ? []
      : [`${listener.key} is ${listener.port}, which is also the value of ${other.key}: use different ports`];
  });
}

function collide(one: Listener, other: Listener): boolean {
  const isAny = ALL_ADDRESSES.has(one.host) || ALL_ADDRESSES.has(other.host);
  return one.port === other.port && (one.host === other.host || isAny);
}

function isAddressOf(address: string | undefined, { host, port }: Listener): boolean {
  const [, target = '', targetPort] = TARGET.exec(address ?? '') ?? [];
  if (targetPort !== String(port)) return false;
  if (target === host || (LOOPBACK.test(target) && LOOPBACK.test(host))) return true;
  return ALL_ADDRESSES.has(host) && (LOOPBACK.test(target) || ownAddresses().includes(target));
}

function ownAddresses(): string[] {
  return Object.values(networkInterfaces()).flatMap((addresses = []) =>
    addresses.map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address)),
  );
}
