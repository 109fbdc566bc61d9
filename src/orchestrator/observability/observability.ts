import type { Logger } from 'pino';
import type { Part } from '../part.ts';
import type { StatementFacts } from '../database/watched-database.ts';
import type { TelemetrySettings } from '../settings.ts';
import { createMetrics, type Gauges, type Metrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import { createTraces } from './traces.ts';

/** Metrics, traces and the slow log as one part. */
interface Observability extends Part, Observer {
  readonly metrics: Pick<Metrics, 'count' | 'render'>;
  readonly onStatement: (statement: StatementFacts) => void;
}

interface ObservabilityParts {
  readonly settings: TelemetrySettings;
  readonly log: Logger;
  readonly gauges: Gauges;
}

export function createObservability({ settings, log, gauges }: ObservabilityParts): Observability {
  const metrics = createMetrics(gauges);
  const slowLog = createSlowLog(settings.slowQueryMs, log);
  const traces = createTraces(settings.otlpEndpoint, (problem) =>
    log.warn({ problem }, 'The last traces could not be exported'),
  );
  return {
    metrics,
    began: () => metrics.began(),
    ended(request) {
      metrics.ended(request);
      traces?.ended(request);
    },
    onStatement(statement) {
      metrics.statement(statement.durationMs, statement.hasFailed);
      if (slowLog.note(statement)) metrics.count('slowStatements');
    },
    start: async () => traces?.start(),
    async stop() {
      await traces?.stop();
      await metrics.stop();
    },
  };
}

const SHOWN_CHARACTERS = 1_000;
// Limits the log, so that a repeated slow statement does not fill the disk.
const MOST_PER_SECOND = 10;
const SECOND_MS = 1_000;

/** Logs slow statements. The text has placeholders instead of values. */
function createSlowLog(slowQueryMs: number, log: Logger): { note(statement: StatementFacts): boolean } {
  let second = 0;
  let written = 0;
  return {
    /** Whether it was slow. */
    note({ sql, durationMs, hasFailed }) {
      if (durationMs < slowQueryMs) return false;
      const now = Math.floor(performance.now() / SECOND_MS);
      if (now !== second) written = 0;
      second = now;
      written += 1;
      if (written > MOST_PER_SECOND) return true;
      const statement = sql.replaceAll(/\s+/g, ' ').trim().slice(0, SHOWN_CHARACTERS);
      log.warn({ duration_ms: Math.round(durationMs), failed: hasFailed, statement }, 'slow statement');
      return true;
    },
  };
}
