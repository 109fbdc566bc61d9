import type { EventName, MigrationEvents } from '../../src/engine/ports/events.ts';
import type { Attempt, History } from './history.ts';
import type { World } from './world.ts';

/**
 * Notes of each attempt whether it may take effect although an equal one has: the engine may know a repeat by its twin's reply, or by
 * the lack of it, as the journal has them. All others take effect once.
 */
export function noteRepeats<Name extends EventName>(
  { history }: Pick<World, 'history'>,
  name: Name,
  event: MigrationEvents[Name],
): void {
  if (name !== 'write:repeated' && name !== 'write:journaled' && name !== 'write:spilled') return;
  const { operationId } = event as MigrationEvents['write:repeated' | 'write:journaled' | 'write:spilled'];
  const attempt = history.byOperation(operationId);
  if (attempt === undefined) return;
  const { call, number } = attempt;
  if (name === 'write:spilled') call.spilled.add(number);
  const isSuspected =
    name === 'write:repeated'
      ? (event as MigrationEvents['write:repeated']).result === 'suspected_duplicate'
      : isOvertaken(attempt) || isBesideSpilled(attempt) || attempt.call.isTaken;
  if (isSuspected) suspect(attempt);
}

function suspect(attempt: Attempt): void {
  const { call, number } = attempt;
  // It was one that its agent sent in doubt: then the one that overtook it has taken its place in that.
  if (call.suspected.has(number) && isOvertaken(attempt)) call.suspected.add(call.answered?.number ?? number);
  call.suspected.add(number);
  call.isTaken = false;
}

/** A reply that was taken for a repeat may be lost with the process that took it, or on its way there: whoever asks again writes again. */
export function noteReply(history: History, number: number, what: 'kept' | 'taken'): void {
  const call = history.byNumber(number);
  if (call !== undefined) call.isTaken = what === 'taken';
}

/**
 * Its agent gave it up, asked again, and has the reply to that: what another replica writes only now is to everybody one that says the
 * same again. Legacy alone, which executes what an agent has given up, would have taken both as well.
 */
function isOvertaken({ call, number, owner }: Attempt): boolean {
  const { answered } = call;
  return answered !== undefined && answered.number > number && answered.owner !== owner;
}

/** Of spilled writes the journal holds no replies; and while it is away nobody can ask it for those of others. */
function isBesideSpilled({ call, number }: Attempt): boolean {
  return (
    number > call.meantFrom &&
    [...call.spilled].some((spilled) => spilled >= call.meantFrom && spilled <= number)
  );
}
