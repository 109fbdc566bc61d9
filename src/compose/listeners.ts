import type { Config, ServiceConfig } from '../config/schema.ts';
import type { ServiceDefinition } from '../domain/service-definition.ts';

/** The addresses on which the proxy listens, each with its setting. */
export interface Listener {
  readonly key: string;
  /** As it is configured: an address, a name, or `*`. */
  readonly host: string;
  readonly port: number;
}

interface Service {
  readonly name: string;
  readonly config: ServiceConfig;
  readonly definition: ServiceDefinition;
}

/** The ports a service listens on of its own, each where there is something to listen for. */
interface ServicePorts {
  readonly port: number;
  readonly healthPort?: number;
  readonly pubPort?: number;
}

/** Undefined for a service whose agents come over HTTP, on the one port for all. */
export function portsOf({
  definition: { endpoint },
  config,
}: Omit<Service, 'name'>): ServicePorts | undefined {
  if (endpoint.kind !== 'zmq') return undefined;
  const { port, healthPort, pubPort } = endpoint;
  return {
    port,
    ...(healthPort !== undefined && endpoint.healthReply !== undefined && { healthPort }),
    ...(pubPort !== undefined && config.legacy.pubEndpoint !== undefined && { pubPort }),
  };
}

/** Every port that the proxy will listen on. */
export function listenersOf({ http, proxy, desk }: Config, services: readonly Service[]): Listener[] {
  const ofServices = services.flatMap((service) => {
    const host = service.config.host ?? proxy.host;
    return Object.entries(portsOf(service) ?? {}).map(([kind, port]: [string, number]) => ({
      key: `services.${service.name}.${kind}`,
      host,
      port,
    }));
  });
  const ofDesk = desk === undefined ? [] : [{ key: 'desk.port', host: desk.host, port: desk.port }];
  return [{ key: 'http.port', ...http }, ...ofDesk, ...ofServices];
}

/** The same for people: each setting with its address. */
export function addressesOf(config: Config, services: readonly Service[]): Record<string, string> {
  return Object.fromEntries(
    listenersOf(config, services).map(({ key, host, port }) => [key, `${host}:${port}`]),
  );
}

/** Where people reach the reports, and the desk where all its pages are served. Undefined without a desk. */
export function reportsUrlOf({ desk }: Pick<Config, 'desk'>): string | undefined {
  if (desk === undefined) return undefined;
  return (desk.url ?? `http://${desk.host}:${desk.port}`).replace(/\/+$/, '');
}

/** Where people reach the pages of the desk: for links in messages and reports. */
export function deskUrlOf(config: Pick<Config, 'desk'>): string | undefined {
  return config.desk?.pages === 'all' ? reportsUrlOf(config) : undefined;
}
