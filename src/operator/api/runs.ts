import { Type } from 'typebox';
import { RUN_KINDS } from '../../engine/ports/run.ts';
import type { ShownSurvey } from '../words.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, ByPerson, Count, oneOf, orNull, Time } from './schemas.ts';

export const OfRun = Type.Object({ run: Type.String() });

const RUN = {
  run: Count,
  kind: oneOf(RUN_KINDS),
  state: oneOf(['listing', 'running', 'stopped', 'finished', 'failed']),
  reason: Type.String(),
  /** As it was requested. */
  request: Type.Object({
    services: Type.Array(Type.String()),
    owner: Type.Optional(Type.String()),
    rate: Type.Optional(Type.Number()),
    scope: Type.Optional(oneOf(['full', 'changed'])),
    /** Of a repair: the reconciliation whose findings it resolves. */
    of: Type.Optional(Count),
    limits: Type.Optional(Type.Object({ items: Type.Number(), share: Type.Number() })),
    scheduled: Type.Optional(Time),
    person: Type.Optional(Type.String()),
    reason: Type.Optional(Type.String()),
  }),
  began_at: Time,
  finished_at: orNull(Time),
  /** What was found before anything was written, by service. */
  survey: Type.Record(
    Type.String(),
    Type.Unsafe<ShownSurvey>(Type.Object({}, { additionalProperties: true })),
  ),
};

export const Run = Type.Object(RUN);

/** A run that was started, resumed or stopped. */
export type Run = Of<typeof Run>;

const RunResult = Type.Object({
  differences: Count,
  /** Lanes that differed. */
  lanes: Count,
  /** Lanes that the run looked at, including those that it could not compare. */
  seen_lanes: Count,
  not_comparable_lanes: Count,
  /** Lanes whose difference of this run is open. */
  unresolved_lanes: Count,
  /** Lanes that a later run found different again. Its finding is the one to handle. */
  superseded_lanes: Count,
  /** Flipped lanes in which legacy differed. They are none of the lanes above. */
  flipped_lanes: Count,
});

/** What a finished reconciliation found, and what became of it. */
export type RunResult = Of<typeof RunResult>;

/** Null for a run that is not a finished reconciliation. */
const LISTED = { ...RUN, result: orNull(RunResult) };
const ListedRun = Type.Object(LISTED);

export type ListedRun = Of<typeof ListedRun>;

const ShownRun = Type.Object({
  ...LISTED,
  lanes: Count,
  lanes_done: Count,
  /** What slows the run down. */
  brake: orNull(oneOf(['agents_wait', 'embeddings_wait'])),
  services: Type.Record(
    Type.String(),
    Type.Record(Type.String(), Type.Union([Type.Number(), Type.String()])),
  ),
  report: orNull(Type.Record(Type.String(), Type.Unknown())),
});

/** A run with its progress. */
export type ShownRun = Of<typeof ShownRun>;

/** What a person requests. Without a service, all services. */
const RunBody = Type.Object({
  ...BY_PERSON,
  kind: oneOf(RUN_KINDS),
  service: Type.Optional(Type.String()),
  owner: Type.Optional(Type.String()),
  rate: Type.Optional(Type.Union([Type.Number(), Type.String()])),
  scope: Type.Optional(Type.String()),
});

export const RUNS = {
  listRuns: {
    method: 'GET',
    path: '/v1/runs',
    summary: 'Lists backfills, reconciliations and repairs, newest first.',
    caller: 'viewer',
    query: Type.Object({ kind: Type.Optional(oneOf(RUN_KINDS)) }),
    checkedBy: 'handler',
    answer: { json: Type.Object({ runs: Type.Array(ListedRun) }) },
  },
  showRun: {
    method: 'GET',
    path: '/v1/runs/:run',
    summary: 'Shows a run with its progress and its report.',
    caller: 'viewer',
    params: OfRun,
    checkedBy: 'handler',
    answer: { json: ShownRun },
  },
  beginRun: {
    method: 'POST',
    path: '/v1/runs',
    summary: 'Starts a backfill or a reconciliation.',
    caller: 'operator',
    body: RunBody,
    checkedBy: 'handler',
    answer: { json: Run },
  },
  rehearseRun: {
    method: 'POST',
    path: '/v1/runs/rehearse',
    summary: 'Shows what a run would find. Writes nothing.',
    caller: 'operator',
    body: RunBody,
    checkedBy: 'handler',
    answer: { json: Type.Object({ survey: RUN.survey }) },
  },
  resumeRun: {
    method: 'POST',
    path: '/v1/runs/resume',
    summary: 'Resumes the newest stopped run of a kind.',
    caller: 'operator',
    body: RunBody,
    checkedBy: 'handler',
    answer: { json: Run },
  },
  stopRun: {
    method: 'POST',
    path: '/v1/runs/:run/stop',
    summary: 'Finishes the pages in progress and stops a run.',
    caller: 'operator',
    params: OfRun,
    body: ByPerson,
    checkedBy: 'handler',
    answer: { json: Run },
  },
} satisfies Record<string, Endpoint>;
