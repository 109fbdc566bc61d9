import { getAgentState } from './sessions/agent-states.ts';
import { batchWrite } from './memories/batch-write.ts';
import type { Call, Handler } from './call.ts';
import { digest } from './memories/digest.ts';
import type { Action } from './wire/payloads.ts';
import { getProfile } from './sessions/profiles.ts';
import { batchRead, readMemory } from './memories/read-memories.ts';
import { getRelated } from './memories/relationships.ts';
import { scan } from './memories/scan.ts';
import { search } from './search/search.ts';
import { listSessions } from './sessions/sessions.ts';
import { endSessionSummarized, summarize } from './summaries/summarize.ts';
import { write } from './memories/write.ts';

/** The handler of every action. */
const HANDLERS: { readonly [A in Action]: Handler<A> } = {
  create: write,
  update: write,
  delete: write,
  bulk_delete: write,
  create_session: write,
  upsert_session: write,
  end_session: endSessionSummarized,
  put_profile: write,
  delete_profile: write,
  put_agent_state: write,
  add_relationship: write,
  batch_write: batchWrite,
  read: ({ parts, request }) => readMemory(parts.database, request),
  batch_read: ({ parts, request }) => batchRead(parts.database, request),
  scan: ({ parts, request }) => scan(parts.database, request),
  search,
  summarize,
  list_sessions: ({ parts, request }) => listSessions(parts.database, request),
  digest: ({ parts, request }) => digest(parts.database, request),
  get_profile: ({ parts, request }) => getProfile(parts.database, request),
  get_agent_state: ({ parts, request }) => getAgentState(parts.database, request),
  get_related: ({ parts, request }) => getRelated(parts.database, request),
  health: ({ parts }) => parts.health.report(),
  ping: ({ parts }) => parts.health.report(),
  health_check: ({ parts }) => parts.health.report(),
};

export async function perform(call: Call): Promise<object> {
  const { meaning } = call.parts;
  const request = meaning.checked(call.request);
  // The table is keyed by the action that the request carries.
  const handler = HANDLERS[request.action] as Handler<Action>;
  const data = await handler({ ...call, request });
  await meaning.afterWrite(request, data);
  return data;
}
