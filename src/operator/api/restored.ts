import { Type } from 'typebox';
import { LEDGER_STATES, type Endpoint, type Of } from './endpoint.ts';
import { BY_PERSON, Count, oneOf, OptionalLimit, orNull, Service, Time } from './schemas.ts';

const Position = Type.Object({ epoch: Count, generation: Count, sequence: Count });

const RestoredLane = Type.Object({
  lane: Type.String(),
  service: Service,
  /** The database that lacks something of the lane. */
  older: oneOf(['journal', 'orchestrator']),
  journal: Position,
  orchestrator: Position,
  found_at: Time,
  state: oneOf(['waits', 'redelivered', 'incomplete', 'accepted']),
  /** Writes that the orchestrator was given again from the journal. Null: not yet, or the journal is older. */
  redelivered: orNull(Count),
  decided_at: orNull(Time),
  decided_by: orNull(Type.String()),
  decided_reason: orNull(Type.String()),
});

/** A lane that a restored database has only in part. */
export type RestoredLane = Of<typeof RestoredLane>;

export const RESTORED = {
  listRestored: {
    method: 'GET',
    path: '/v1/restored',
    summary: 'Lists lanes that a restored database has only in part, newest first.',
    caller: 'viewer',
    query: Type.Object(
      {
        service: Type.Optional(Type.String()),
        state: Type.Optional(oneOf(LEDGER_STATES)),
        limit: OptionalLimit,
      },
      { additionalProperties: false },
    ),
    answer: { json: Type.Object({ lanes: Type.Array(RestoredLane) }) },
  },
  acceptRestored: {
    method: 'POST',
    path: '/v1/restored/accept',
    summary: 'Lets lanes answer again, with what the orchestrator holds.',
    caller: 'approver',
    body: Type.Object({
      ...BY_PERSON,
      service: Type.String(),
      /** Absent: every listed lane of the service. */
      owners: Type.Optional(Type.Array(Type.String(), { minItems: 1, maxItems: 1_000 })),
    }),
    answer: { json: Type.Object({ accepted: Count, waiting: Count }) },
  },
  recordBackup: {
    method: 'POST',
    path: '/v1/restored/backups',
    summary:
      'Records a verified backup of the orchestrator, so that the journal may drop older writes of flipped lanes.',
    caller: 'operator',
    body: Type.Object({ ...BY_PERSON, until: Time }),
    answer: { json: Type.Object({ until: Time }) },
  },
} satisfies Record<string, Endpoint>;
