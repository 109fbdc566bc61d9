import { hostname } from 'node:os';
import type { Logger } from 'pino';
import { messageOf } from '../../domain/errors.ts';
import { ownNames } from '../../domain/http-caller.ts';
import { ConnectionLimit, connectionsWithin } from '../../frontends/connection-limit.ts';
import { createProblemLog } from '../../telemetry/log.ts';
import type { Access } from '../access/access.ts';
import { curveOf } from '../access/curve.ts';
import type { Health } from '../health.ts';
import type { Metrics } from '../observability/metrics.ts';
import { type Part, startInOrder } from '../part.ts';
import type { Service } from '../service.ts';
import type { Settings } from '../settings.ts';
import { createHttpFront } from './http-front.ts';
import { createZmqFront } from './zmq-front.ts';

interface FrontsParts {
  readonly settings: Settings;
  readonly service: Service;
  readonly access: Pick<Access, 'admitToPages'>;
  readonly health: Health;
  readonly metrics: Pick<Metrics, 'count' | 'render'>;
  readonly version: string;
  readonly log: Logger;
}

/** Most HTTP connections. */
const CONNECTIONS = 5_000;

/** All fronts as one part. They stop accepting requests at the same time, and answer every accepted request. */
export function createFronts(parts: FrontsParts): Part {
  const { settings, service, access, health, metrics, version, log } = parts;
  const { host, port, httpPort, allowedHosts } = settings.listen;
  const names = settings.access.keys === 'required' ? undefined : ownNames(hostname(), allowedHosts);
  const onLostReply = (error: unknown): void => {
    metrics.count('lostReplies');
    log.warn(`A reply could not be delivered: ${messageOf(error)}`);
  };
  const curve = curveOf(settings.access, (message) => log.error(`CURVE: ${message}`));
  const limit = connectionsWithin(CONNECTIONS);
  const onProblem = createProblemLog(log);
  const each = [
    createZmqFront(service, { host, port, onLostReply, curve }),
    createHttpFront(service, {
      host,
      port: httpPort,
      names,
      connectionLimit: new ConnectionLimit({
        limit,
        nowMs: () => performance.now(),
        onFull: (what) =>
          onProblem('http', `connection_${what}`, `clients have all of the ${limit} HTTP connections`),
      }),
      health,
      version,
      metrics: () => metrics.render(),
      admit: (sender) => access.admitToPages(sender),
    }),
  ];
  return {
    start: () => startInOrder(each),
    async stop() {
      await Promise.all(each.map((front) => front.stop()));
      await service.drained();
    },
  };
}
