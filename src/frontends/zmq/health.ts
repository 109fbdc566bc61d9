import { isUtf8 } from 'node:buffer';
import { serviceName } from '../../domain/ids.ts';
import { parseTolerantly } from '../../domain/json.ts';
import type { ZmqEndpoint } from '../../domain/endpoint.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Reply } from '../../engine/ports/ports.ts';
import { createZmqFrontend, type ZmqFrontend, type ZmqFrontendSettings } from './router.ts';

interface HealthResponderSettings {
  readonly service: string;
  readonly host: string;
  /** The definition's health port. */
  readonly port: number;
  readonly healthReply: NonNullable<ZmqEndpoint['healthReply']>;
  /** Whether the legacy service answers. */
  readonly isAnswering: () => Promise<boolean>;
  readonly clock: Clock;
  /** The time zone of times in replies, as in the service. @defaultValue the zone of this process */
  readonly timeZone?: string | undefined;
  readonly takeOverMs?: ZmqFrontendSettings['takeOverMs'];
  readonly connectionLimit?: NonNullable<ZmqFrontendSettings['connectionLimit']>;
  readonly farewell?: NonNullable<ZmqFrontendSettings['farewell']>;
  readonly onProblem?: ZmqFrontendSettings['onProblem'];
}

/** A health request is a line of JSON. A longer message is refused unread. */
const REQUEST_BYTES = 4_096;
/** A longer message closes its connection. */
const CUT_ABOVE_BYTES = 65_536;

const TOO_LARGE = Buffer.from(
  `{"status": "error", "error": "The health request is longer than ${REQUEST_BYTES} bytes"}`,
);
const NOT_JSON = Buffer.from('{"status": "error", "error": "Invalid JSON request"}');
const NOT_UTF8 = Buffer.from('{"status": "error", "error": "Invalid UTF-8 request"}');

/** The additional health socket of some services. The proxy answers every JSON request itself. */
export function createHealthResponder(settings: HealthResponderSettings): ZmqFrontend {
  const {
    host,
    port,
    clock,
    healthReply,
    onProblem,
    farewell = {},
    takeOverMs = 0,
    connectionLimit,
  } = settings;
  const startedAtMs = clock.now();
  const answer = async (body: Buffer): Promise<Buffer> => {
    const refusal = refusalOf(body);
    if (refusal !== undefined) return refusal;
    const uptimeSeconds = (clock.now() - startedAtMs) / 1_000;
    const isAnswering = await settings.isAnswering();
    const nowLocalIso = localIso(clock.wallMs(), settings.timeZone);
    return Buffer.from(healthReply({ uptimeSeconds, nowLocalIso, isAnswering }));
  };
  return createZmqFrontend({
    service: serviceName(settings.service),
    host,
    port,
    clock,
    takeOverMs,
    farewell,
    cutAboveBytes: CUT_ABOVE_BYTES,
    handler: { handle: async ({ body }): Promise<Reply> => ({ body: await answer(body) }) },
    ...(onProblem === undefined ? {} : { onProblem }),
    ...(connectionLimit === undefined ? {} : { connectionLimit }),
  });
}

function refusalOf(body: Buffer): Buffer | undefined {
  if (body.length > REQUEST_BYTES) return TOO_LARGE;
  if (!isUtf8(body)) return NOT_UTF8;
  try {
    parseTolerantly(body.toString('utf8'));
    return undefined;
  } catch {
    return NOT_JSON;
  }
}

/** Python's naive `datetime.now().isoformat()`: local time with microseconds, without a zone. */
function localIso(wallMs: number, timeZone: string | undefined): string {
  const now = new Date(wallMs);
  // The Swedish date format is that of ISO-8601.
  const local = now.toLocaleString('sv-SE', { timeZone }).replace(' ', 'T');
  return `${local}.${String(now.getMilliseconds()).padStart(3, '0')}000`;
}
