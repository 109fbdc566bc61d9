import type { At, Operation } from './lane-writer.ts';

/*
 * What the orchestrator must answer to writes and closes of lanes, in the simplest form: one object per lane, one command after the other.
 * Any lane may write into any session.
 */

export interface WriteCommand {
  readonly kind: 'write';
  readonly lane: string;
  readonly at: At;
  readonly session_id: string;
  readonly requires: readonly SessionRequirement[];
  readonly operation: ModelOperation;
}

export interface CloseCommand {
  readonly kind: 'close';
  readonly lane: string;
  readonly at: At & { readonly sequence: number };
}

export type Command = WriteCommand | CloseCommand;

export interface SessionRequirement {
  readonly session: 'present' | 'absent' | 'open';
  readonly session_id: string;
}

/** `say` needs an open session, `put` makes one. The text is the id of their memory. */
export interface ModelOperation {
  readonly does: 'begin' | 'end' | 'say' | 'put';
  readonly text: string;
}

interface LaneState {
  readonly epoch: number;
  readonly generation: number;
  /** Undefined while a copy has not ended. */
  readonly sequence: number | undefined;
  readonly set_by: 'write' | 'close' | 'copy';
  readonly operation_id: string | null;
  readonly answer: object;
}

type Position = Omit<LaneState, 'answer' | 'sequence'> & {
  readonly key: string;
  readonly sequence: number | null;
};

/** The `data` of an answer without its times, or the code of an error. */
export type ModelAnswer = object | string;

export class LaneModel {
  readonly #lanes = new Map<string, LaneState>();
  readonly #open = new Map<string, boolean>();
  readonly #texts = new Map<string, string[]>();

  /** A copy of the model, to try several orders. */
  fork(): LaneModel {
    const fork = new LaneModel();
    for (const [key, lane] of this.#lanes) fork.#lanes.set(key, lane);
    for (const [id, isOpen] of this.#open) fork.#open.set(id, isOpen);
    for (const [id, texts] of this.#texts) fork.#texts.set(id, [...texts]);
    return fork;
  }

  /** As `lane_positions` answers it. */
  position(key: string): Position | undefined {
    const lane = this.#lanes.get(key);
    if (lane === undefined) return undefined;
    const { answer: _, sequence = null, ...position } = lane;
    return { key, ...position, sequence };
  }

  texts(session_id: string): string[] {
    return (this.#texts.get(session_id) ?? []).toSorted();
  }

  /** Whether the session is open; undefined if there is none. */
  isOpen(session_id: string): boolean | undefined {
    return this.#open.get(session_id);
  }

  answer(command: Command): ModelAnswer {
    const lane = this.#lanes.get(command.lane);
    if (lane !== undefined && isKeptOut(lane, command.at)) return this.#withoutEffect(command, lane);
    return command.kind === 'close' ? this.#close(command) : this.#write(command, lane);
  }

  #close({ lane, at }: CloseCommand): ModelAnswer {
    this.#lanes.set(lane, { ...placeOf(at), set_by: 'close', operation_id: null, answer: {} });
    return { closed: true };
  }

  #write(command: WriteCommand, lane: LaneState | undefined): ModelAnswer {
    const { at, session_id, requires, operation } = command;
    const requirement = requires.findIndex((one) => !this.#isMet(one));
    const result = requirement < 0 ? this.#apply(session_id, operation) : {};
    if (typeof result === 'string') return result;
    const answer =
      requirement < 0 ? { results: [result] } : { refused: { requirement, ...requires[requirement] } };
    const { operation_id = null } = at;
    this.#lanes.set(command.lane, {
      ...placeOf(at),
      set_by: !isWhole(command) && isCopy(at, lane) ? 'copy' : 'write',
      operation_id,
      answer: operation_id === null ? {} : answer,
    });
    return answer;
  }

  #withoutEffect(command: Command, lane: LaneState): ModelAnswer {
    const { epoch, generation } = placeOf(command.at);
    const answered = (data: object): object => (isWhole(command) ? data : { results: [data] });
    const superseded = { superseded: true, lane_generation: lane.generation };
    if (epoch < lane.epoch) return answered({ ...superseded, lane_epoch: lane.epoch });
    this.#lanes.set(command.lane, { ...lane, epoch });
    if (generation < lane.generation) return answered(superseded);
    return isWhole(command) ? taken(command, lane) : answered({ already_applied: true });
  }

  #isMet({ session, session_id }: SessionRequirement): boolean {
    const isOpen = this.#open.get(session_id);
    return { present: isOpen !== undefined, absent: isOpen === undefined, open: isOpen === true }[session];
  }

  /** The result of an operation, or the code of its error. */
  #apply(session_id: string, { does, text }: ModelOperation): object | string {
    const isOpen = this.#open.get(session_id);
    const texts = this.#texts.get(session_id) ?? [];
    // A part of a copy may come twice, and finds its memory there.
    if (texts.includes(text)) return { memory_id: text };
    if ((does === 'end' && isOpen === undefined) || (does === 'say' && isOpen !== true))
      return 'session_not_found';
    this.#open.set(session_id, does !== 'end');
    if (does === 'begin') return { session_id };
    if (does === 'end') return { session_id, is_archived: false, summarized: null };
    this.#texts.set(session_id, [...texts, text]);
    return { memory_id: text };
  }
}

function placeOf({
  epoch = 0,
  generation,
  sequence,
}: At): Pick<LaneState, 'epoch' | 'generation' | 'sequence'> {
  return { epoch, generation, sequence };
}

/** Whether the batch is one write of its lane, which is answered as a whole. */
function isWhole(command: Command): boolean {
  return command.kind === 'close' || command.at.operation_id !== undefined || command.requires.length > 0;
}

function isCopy({ generation, sequence }: At, lane: LaneState | undefined): boolean {
  if (lane === undefined) return sequence === undefined;
  return generation > lane.generation || lane.sequence === undefined;
}

function isKeptOut(lane: LaneState, at: At): boolean {
  const { epoch, generation, sequence } = placeOf(at);
  if (epoch < lane.epoch || generation < lane.generation) return true;
  if (generation > lane.generation || lane.sequence === undefined) return false;
  return sequence === undefined || sequence <= lane.sequence;
}

/** The answer to a write or close whose sequence is not above that of the lane. */
function taken({ kind, at }: Command, lane: LaneState): object {
  const { sequence, set_by, operation_id, answer } = lane;
  if (at.sequence === sequence && kind === 'close')
    return set_by === 'close' ? { closed: true } : { closed: false, set_by, operation_id, ...answer };
  if (at.sequence === sequence && at.operation_id === operation_id) return { ...answer, repeated: true };
  return { already_applied: true, lane_sequence: sequence, set_by, operation_id };
}

/** The operation for the orchestrator. */
export function operationOf({ does, text }: ModelOperation): Operation {
  if (does === 'begin') return { action: 'create_session', payload: { user_id: 'u' } };
  if (does === 'end') return { action: 'end_session', payload: {} };
  const memory = { memory_type: 'fact', memory_id: text, content: { text }, user_id: 'u' };
  return { action: 'create', payload: { ...memory, create_session: does === 'put' } };
}
