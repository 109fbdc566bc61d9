import type { HttpTarget } from './request.ts';

export interface ZmqEndpoint {
  readonly kind: 'zmq';
  /** The port agents know. */
  readonly port: number;
  readonly healthPort?: number;
  readonly pubPort?: number;
  /** The reply of the health socket, which the proxy gives itself. Any body gets it. */
  healthReply?(facts: HealthFacts): string;
}

/** What the proxy knows when its health socket is asked. */
export interface HealthFacts {
  /** Of the proxy. */
  readonly uptimeSeconds: number;
  readonly nowLocalIso: string;
  /** Whether the legacy service answers its probe. */
  readonly isAnswering: boolean;
}

export interface HttpEndpoint {
  readonly kind: 'http';
  /** Path under which the proxy serves the service; the rest of the path goes on to the service. */
  readonly prefix: string;
  /** Which action a request is; undefined passes it through, streaming. */
  actionOf(target: HttpTarget): string | undefined;
  /**
   * The JSON object that stands for a request whose meaning is not all in its body, such as a GET: what `owner`, `outcome` and the
   * mappings see as its message. The service still gets the request as it came. @defaultValue the body
   */
  messageOf?(target: HttpTarget, body: Buffer): string | undefined;
}
