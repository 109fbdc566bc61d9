import type { AskOrchestrator } from '../calls/ask-orchestrator.ts';
import type { Judgement } from '../compare/compare-replies.ts';
import { notCompared, type Verdicts } from '../compare/verdicts.ts';
import type { FenceReason } from '../lane/fence.ts';
import type { Lane } from '../lane/lane.ts';
import { looksAllowed } from '../compare/look-again.ts';
import { comparedOf, effectOf, type ShadowTask } from './shadow-task.ts';

export interface FencedParts {
  readonly askOrchestrator: AskOrchestrator;
  readonly verdicts: Pick<Verdicts, 'compare'>;
}

/** A lane, and why its reads prove nothing now. */
export interface Fenced {
  readonly lane: Lane;
  readonly reason: FenceReason;
  readonly deadlineAtMs: number;
}

/**
 * A read of a lane that is fenced off is not comparable, and above a share of such reads an alert is sent. But any caller may ask
 * for an owner that was never written. If both sides then answer the same, there is nothing to seed or report. It is not a match
 * either, because two empty answers prove nothing.
 */
export async function judgeFenced(task: ShadowTask, fenced: Fenced, parts: FencedParts): Promise<Judgement> {
  const { lane, reason, deadlineAtMs } = fenced;
  if (reason !== 'not_seeded' && reason !== 'behind') return notCompared('dirty');
  if (!isUnknown(lane) || task.primary !== 'legacy') return notCompared('not_seeded');
  const orchestrator = await parts.askOrchestrator(task.operation, 'shadow', deadlineAtMs);
  const pair = { legacy: task.text, orchestrator, isSteady: true, place: task.before.place };
  const { comparison } = await parts.verdicts.compare(...comparedOf(task, pair, undefined));
  return notCompared(comparison.verdict === 'match' ? 'unknown_lane' : 'not_seeded');
}

/** Agents write to the lane, so it is copied at once. Both sides are asked again after that. */
export function isPassing(task: ShadowTask, lane: Lane, reason: FenceReason): boolean {
  if (task.looks > 0 || looksAllowed(effectOf(task)) === 0) return false;
  return reason === 'copying' || reason === 'dirty' || (reason === 'not_seeded' && lane.ownSequence > 0);
}

/** The journal has no row of it, and no write of this replica made one. */
function isUnknown({ id, sequence, ownSequence, inFlight }: Lane): boolean {
  return id === 0 && sequence === 0 && ownSequence === 0 && inFlight === 0;
}
