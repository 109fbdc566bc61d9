import type { HttpTarget } from './request.ts';

export interface ZmqEndpoint {
  readonly kind: 'zmq';
  /** The port that agents connect to. */
  readonly port: number;
  readonly healthPort?: number;
  readonly pubPort?: number;
  /** The reply of the health socket, which the proxy makes itself. It is the same for any request. */
  healthReply?(facts: HealthFacts): string;
}

/** What the proxy knows when its health socket gets a request. */
export interface HealthFacts {
  /** Uptime of the proxy. */
  readonly uptimeSeconds: number;
  readonly nowLocalIso: string;
  /** Whether the legacy service answers its probe. */
  readonly isAnswering: boolean;
}

export interface HttpEndpoint {
  readonly kind: 'http';
  /** Path under which the proxy serves the service. The rest of the path goes to the service. */
  readonly prefix: string;
  /** The action of a request. Undefined streams it through. */
  actionOf(target: HttpTarget): string | undefined;
  /**
   * The JSON object that represents a request whose body is not enough, such as a GET. `owner`, `outcome` and the mappings get it
   * as the message. The service still gets the request unchanged. @defaultValue the body
   */
  messageOf?(target: HttpTarget, body: Buffer): string | undefined;
}
