import type { Logger } from 'pino';
import type { Part } from '../part.ts';
import type { StatementFacts } from '../database/watched-database.ts';
import { createMetrics, type Gauges, type Metrics } from './metrics.ts';
import type { Observer } from './observer.ts';
import type { TelemetrySettings } from './settings.ts';
import { createSlowLog } from './slow-statements.ts';
import { createTraces } from './traces.ts';

/** Metrics, traces and the slow log as one part. */
export interface Observability extends Part, Observer {
  readonly metrics: Pick<Metrics, 'count' | 'render'>;
  readonly onStatement: (statement: StatementFacts) => void;
}

export interface ObservabilityParts {
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
