import type { Answer, AnswerData, LaneMember, OrchestratorClient } from './orchestrator.ts';

/** One operation of a batch. */
export interface Operation {
  readonly action: string;
  readonly session_id?: string;
  readonly lane?: LaneMember;
  readonly payload: object;
}

/** Where a write of a lane is. */
export type At = Omit<LaneMember, 'key'>;

/** Sends the writes of one lane, all in one session. */
export interface LaneWriter {
  readonly session_id: string;
  readonly key: string;
  /** One write of the lane, of one operation or several, with preconditions. */
  write(at: At, operations: Operation | readonly Operation[], requires?: readonly object[]): Promise<Answer>;
  /** A plain delivery of one memory, as the engine sends it. */
  deliver(at: At, text: string): Promise<AnswerData['results']>;
  close(at: At): Promise<Answer>;
  /** The lane's own row; undefined if the orchestrator does not know the lane. */
  position(): Promise<Record<string, unknown> | undefined>;
  texts(): Promise<string[]>;
  open(): Promise<Answer>;
}

export function createLaneWriter({ ask }: Pick<OrchestratorClient, 'ask'>, session_id: string): LaneWriter {
  const key = `lane/${session_id}`;
  return {
    session_id,
    key,
    write: (at, operations, requires) =>
      ask('batch_write', { operations: [operations].flat(), requires }, { session_id, lane: { key, ...at } }),
    async deliver(at, text) {
      const operations = [{ ...saying(text), session_id, lane: { key, ...at } }];
      return (await ask('batch_write', { operations })).data.results;
    },
    close: (at) => ask('close_sequence', {}, { lane: { key, ...at } }),
    async position() {
      const { data } = await ask('lane_positions', { keys: [key] });
      const [row] = data['lanes'] as Record<string, unknown>[];
      return row;
    },
    async texts() {
      const { data } = await ask('scan', { limit: 1_000 }, { session_id });
      return data.items.map(({ content }) => String(content['text'])).toSorted();
    },
    open: () => ask('create_session', { user_id: 'u' }, { session_id }),
  };
}

/** An operation that stores a memory, also in a session that is not there yet. */
export function saying(text: string, more: object = {}): Operation {
  return {
    action: 'create',
    payload: { memory_type: 'conversation', content: { text }, create_session: true, ...more },
  };
}
