import { Type } from 'typebox';
import { SERVICE_FLAGS } from '../../domain/flags.ts';
import type { Endpoint, Of } from './endpoint.ts';
import { BY_PERSON, oneOf, orNull, Service } from './schemas.ts';

const Percent = Type.Integer({ minimum: 0, maximum: 100 });
const Was = Type.Number({ minimum: 0, maximum: 100 });

const ShownFlag = Type.Object({
  name: Type.String(),
  /** Null for the kill switch, which applies to all services. */
  service: orNull(Service),
  flag: oneOf([...SERVICE_FLAGS, 'kill-switch']),
  /** A `share` of lanes or reads, or a `switch` that is 0 or 100. */
  kind: oneOf(['share', 'switch']),
  /** Percent. */
  asked: Type.Number(),
});

/** One flag with its requested share. */
export type ShownFlag = Of<typeof ShownFlag>;

const ShownFlags = Type.Object({
  source: Type.String(),
  fresh: Type.Boolean(),
  editable: Type.Boolean(),
  server: orNull(Type.String()),
  flags: Type.Array(ShownFlag),
});

export type ShownFlags = Of<typeof ShownFlags>;

export const FLAGS = {
  listFlags: {
    method: 'GET',
    path: '/v1/flags',
    summary: 'Lists all flags with their requested shares.',
    caller: 'viewer',
    answer: { json: ShownFlags },
  },
  setFlag: {
    method: 'POST',
    path: '/v1/flags/:flag',
    summary: 'Changes a flag that is stored in files.',
    caller: 'operator',
    params: Type.Object({ flag: Type.String({ maxLength: 200 }) }),
    body: Type.Object({ ...BY_PERSON, share: Percent, was: Was }),
    answer: {
      json: Type.Object({
        flag: Type.String(),
        from: Was,
        to: Percent,
        file: Type.String(),
        /** Whether the proxy has read the change. */
        seen: Type.Boolean(),
      }),
    },
  },
} satisfies Record<string, Endpoint>;
