import type { FastifyInstance } from 'fastify';
import type { ServiceName } from '../../domain/ids.ts';
import {
  auditedServices,
  type Run,
  RUN_KINDS,
  type RunKind,
  type RunRequest,
} from '../../engine/ports/run.ts';
import type { AuditStore } from '../../engine/guard/guard-ports.ts';
import type { RunCommands, RunStatus } from '../../engine/runs/run-commands.ts';
import { type Answered, type Asked, ENDPOINTS } from '../api/endpoints.ts';
import type { Run as ShownRun, RunResult } from '../api/runs.ts';
import { knownService } from '../known-service.ts';
import type { StandingLanes } from '../../engine/runs/run-ports.ts';
import { Refusal } from '../refusal.ts';
import { memberOf, numberOf, ownerIn, responsibleOf, said, textOf } from '../run-wishes.ts';
import { serve } from './serve.ts';

interface RunRouteParts {
  readonly services: readonly ServiceName[];
  readonly desk: RunCommands;
  readonly audit: Pick<AuditStore, 'add'>;
}

const RUNS_SHOWN = 50;

/** Backfills, reconciliations and repairs: start, show, stop, resume. */
export function registerRunRoutes(app: FastifyInstance, parts: RunRouteParts): void {
  const routes = new RunRoutes(parts);
  serve(app, ENDPOINTS.listRuns, ({ query }) => routes.list(query.kind));
  serve(app, ENDPOINTS.showRun, ({ params }) => routes.show(params));
  serve(app, ENDPOINTS.beginRun, ({ body }) => routes.begin(body));
  serve(app, ENDPOINTS.rehearseRun, ({ body }) => routes.rehearse(body));
  serve(app, ENDPOINTS.resumeRun, ({ body }) => routes.resume(body));
  serve(app, ENDPOINTS.stopRun, ({ params, body }) => routes.stop(params, body));
}

class RunRoutes {
  readonly #parts: RunRouteParts;

  constructor(parts: RunRouteParts) {
    this.#parts = parts;
  }

  async list(kind: Asked<'listRuns'>['query']['kind']): Promise<Answered<'listRuns'>> {
    const wanted = kind === undefined ? undefined : kindOf({ kind });
    const runs = await this.#parts.desk.recent(wanted, RUNS_SHOWN);
    const standing = await this.#parts.desk.standing(runs.map(({ id }) => id));
    return {
      runs: runs.map((run) => ({ ...printedRun(run), result: resultOf(run, standing.get(run.id)) })),
    };
  }

  show({ run }: Asked<'showRun'>['params']): Promise<Answered<'showRun'>> {
    return said(async () => {
      const { desk } = this.#parts;
      const shown = await desk.show(numberOf(run, 'run'));
      const standing = await desk.standing([shown.run.id]);
      return { ...printed(shown), result: resultOf(shown.run, standing.get(shown.run.id)) };
    });
  }

  async begin(body: unknown): Promise<ShownRun> {
    const kind = wishedKindOf(body);
    return this.#changed(body, 'begin', (by) =>
      this.#parts.desk.begin(kind, { ...this.#requestOf(body), ...by }),
    );
  }

  async rehearse(body: unknown): Promise<Answered<'rehearseRun'>> {
    const kind = wishedKindOf(body);
    return said(async () => ({
      survey: await this.#parts.desk.rehearse(kind, this.#requestOf(body)),
    }));
  }

  async resume(body: unknown): Promise<ShownRun> {
    const kind = wishedKindOf(body);
    return this.#changed(body, 'resume', () => this.#parts.desk.resume(kind));
  }

  stop({ run }: Asked<'stopRun'>['params'], body: unknown): Promise<ShownRun> {
    return this.#changed(body, 'stop', ({ person, reason }) =>
      this.#parts.desk.stop(numberOf(run, 'run'), `stopped by ${person}: ${reason}`),
    );
  }

  /** Audited under the person that the request names. */
  #changed(
    body: unknown,
    command: string,
    change: (by: ReturnType<typeof responsibleOf>) => Promise<Run>,
  ): Promise<ShownRun> {
    return said(async () => {
      const by = responsibleOf(body);
      const run = await change(by);
      await this.#parts.audit.add({
        ...by,
        command: `runs ${command}`,
        ...auditedServices(run.request.services, { run: run.id, kind: run.kind }),
      });
      return printedRun(run);
    });
  }

  #requestOf(body: unknown): RunRequest {
    const service = textOf(body, 'service');
    const owner = ownerIn(body);
    const rate = memberOf(body, 'rate');
    return {
      services: service === undefined ? this.#parts.services : [this.#known(service)],
      ...(owner !== undefined && { owner }),
      ...(rate !== undefined && { rate: numberOf(rate, 'rate') }),
      ...(memberOf(body, 'scope') === 'changed' && { scope: 'changed' as const }),
    };
  }

  #known(name: string): ServiceName {
    return knownService(name, this.#parts.services);
  }
}

/** What a finished reconciliation found, and what became of its lanes. Null for other runs. */
function resultOf({ kind, state, report }: Run, standing: StandingLanes | undefined): RunResult | null {
  if (kind !== 'reconcile' || state !== 'finished' || report === null) return null;
  const { services = {} } = report as {
    services?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
  };
  const sum = (name: string): number =>
    Object.values(services).reduce((total, counts) => total + Number(counts[name] ?? 0), 0);
  return {
    differences: sum('findings'),
    lanes: sum('lanes_different'),
    seen_lanes: sum('lanes') + sum('flipped_lanes'),
    not_comparable_lanes: sum('lanes_not_comparable') + sum('flipped_lanes_not_comparable'),
    unresolved_lanes: standing?.unresolved ?? 0,
    superseded_lanes: standing?.superseded ?? 0,
    flipped_lanes: sum('flipped_lanes_different'),
  };
}

function printed({ run, progress, brake }: RunStatus): Omit<Answered<'showRun'>, 'result'> {
  return {
    ...printedRun(run),
    lanes: progress.lanes,
    lanes_done: progress.lanesDone,
    brake: brake ?? null,
    services: Object.fromEntries(
      Object.entries(progress.services).map(([service, { counts, digest }]) => [
        service,
        { ...counts, digest },
      ]),
    ),
    report: run.report as Readonly<Record<string, unknown>> | null,
  };
}

export function printedRun({
  id,
  kind,
  request,
  state,
  reason,
  beganAtMs,
  finishedAtMs,
  survey,
}: Run): ShownRun {
  return {
    run: id,
    kind,
    state,
    reason,
    request,
    began_at: new Date(beganAtMs).toISOString(),
    finished_at: finishedAtMs === null ? null : new Date(finishedAtMs).toISOString(),
    survey,
  };
}

function kindOf(body: unknown): RunKind {
  const kind = RUN_KINDS.find((one) => one === memberOf(body, 'kind'));
  if (kind === undefined)
    throw new Refusal(400, 'invalid_request', `kind must be one of ${RUN_KINDS.join(', ')}`);
  return kind;
}

/** A repair changes what agents may read. It has a route of its own, which needs a higher role than operator. */
function wishedKindOf(body: unknown): RunKind {
  const kind = kindOf(body);
  if (kind !== 'repair') return kind;
  throw new Refusal(
    400,
    'invalid_request',
    'start or restart a repair from its reconciliation run: crossfade repair apply RUN, POST /v1/runs/RUN/repair',
  );
}
