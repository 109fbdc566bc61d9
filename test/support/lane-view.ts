import type { Deployment } from './deployment.ts';
import { eventually } from './eventually.ts';
import { askOnce, getContext } from './session-agent.ts';

/** What the journal says of a session's lane, and of its newest write. */
export interface LaneView {
  readonly condition: string;
  readonly sequence: number;
  readonly delivered: number;
  readonly action: string | null;
  readonly outcome: string | null;
  readonly deadLetters: number;
  readonly exceptions: number;
}

/** Undefined where the journal knows no such lane. */
export async function readLane(deployment: Deployment, session: string): Promise<LaneView | undefined> {
  const [lane] = await deployment.journal<LaneView>(`
    select l.condition, l.sequence::int, l.delivered_sequence::int as delivered, w.action, o.outcome, l.exceptions,
      (select count(*)::int from dead_letters d where d.lane_id = l.id and d.resolved_at is null) as "deadLetters"
    from lanes l
    left join writes w on w.lane_id = l.id and w.sequence = l.sequence
    left join outcomes o on o.lane_id = w.lane_id and o.sequence = w.sequence
    where l.key = 'session-memory/${session}'`);
  return lane;
}

/**
 * Waits until every lane is on the orchestrator, up to its last write. The journal knows of a write before its agent does; the status counts
 * it as a delivery a moment after the answer.
 */
export async function everythingDelivered(deployment: Deployment): Promise<void> {
  let left: readonly object[] = [];
  const isDelivered = async () => {
    left = await deployment.journal(
      `select key, condition, seeded_coverage, sequence, delivered_sequence from lanes
      where condition <> 'clean' or seeded_coverage = 0 or delivered_sequence < sequence`,
    );
    return left.length === 0;
  };
  await eventually('everything delivered', isDelivered).catch((error: unknown) => {
    throw new Error(`lanes left: ${JSON.stringify(left)}`, { cause: error });
  });
}

/** The session's interactions in the orchestrator's own tables, in order. */
export async function readOrchestrator(deployment: Deployment, session: string): Promise<readonly string[]> {
  const rows = await deployment.store<{ item: string }>(`
    select concat(content->>'role', ': ', content->>'text') as item from memory_entries
    where session_id = '${session}' and is_active order by position, memory_id`);
  return rows.map(({ item }) => item);
}

/** The session's interactions as the stand-in itself answers them. */
export async function readLegacy(deployment: Deployment, session: string): Promise<readonly string[]> {
  const { context = [] } = await askOnce(deployment.direct['session-memory'], getContext(session));
  return context.map(({ role, content }) => `${role}: ${content}`);
}
