import { expect, test } from 'vitest';
import { encodeJson, isJsonObject, parseTolerantly, type JsonObject } from '../../src/domain/json.ts';
import { type Command, LaneModel, type ModelOperation, operationOf } from '../support/lane-model.ts';
import fc from '../support/properties.ts';
import { OrchestratorStore } from './orchestrator-store.ts';
import { answerRequest } from './orchestrator-wire.ts';

const RUNS = 300;
const SESSIONS = ['session-0', 'session-1'];

/** A command near the position of its lane, where most of them are at the limit of what has an effect. */
interface Draft {
  readonly kind: Command['kind'];
  readonly lane: number;
  readonly epoch: number;
  readonly generation: number;
  readonly sequence: number | undefined;
  readonly operation_id: string | undefined;
  readonly session: number;
  readonly does: ModelOperation['does'];
  readonly requires: readonly { readonly session: 'present' | 'absent' | 'open'; readonly at: number }[];
}

const nearly = (weight: number) =>
  fc.oneof({ weight, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.constantFrom(-1, 1) });

const drafts: fc.Arbitrary<Draft> = fc.record({
  kind: fc.constantFrom<Command['kind']>('write', 'write', 'write', 'close'),
  lane: fc.nat(1),
  epoch: nearly(4),
  generation: nearly(4),
  sequence: fc.option(fc.integer({ min: -1, max: 2 }), { nil: undefined, freq: 9 }),
  operation_id: fc.constantFrom(undefined, 'a', 'b'),
  session: fc.nat(1),
  does: fc.constantFrom<ModelOperation['does']>('begin', 'say', 'say', 'put', 'end'),
  requires: fc.array(fc.record({ session: fc.constantFrom('present', 'absent', 'open'), at: fc.nat(1) }), {
    maxLength: 2,
  }),
});

function commandOf(draft: Draft, model: LaneModel, text: string): Command {
  const { kind, operation_id, session, does, requires } = draft;
  const lane = `lane-${draft.lane}`;
  const { sequence, ...near } = placeNear(draft, model.position(lane));
  if (kind === 'close') return { kind, lane, at: { ...near, sequence } };
  const isPartOfCopy = draft.sequence === undefined && operation_id === undefined && requires.length === 0;
  const at = {
    ...near,
    ...(operation_id !== undefined && { operation_id }),
    ...(!isPartOfCopy && { sequence }),
  };
  const conditions = requires.map((one) => ({ session: one.session, session_id: SESSIONS[one.at] ?? '' }));
  return {
    kind,
    lane,
    at,
    session_id: SESSIONS[session] ?? '',
    requires: conditions,
    operation: { does, text },
  };
}

function placeNear(by: Draft, position: ReturnType<LaneModel['position']>) {
  const near = (is = 0, delta = 1): number => Math.max(0, is + delta);
  return {
    epoch: near(position?.epoch, by.epoch),
    generation: near(position?.generation, by.generation),
    sequence: near(position?.sequence ?? 0, by.sequence),
  };
}

/** The simulated orchestrator opens sessions by `upsert_session` only. */
function spelled(operation: ModelOperation): object {
  return operation.does === 'begin'
    ? { action: 'upsert_session', payload: { ended_at: null } }
    : operationOf(operation);
}

function ask(store: OrchestratorStore, command: Command): unknown {
  const lane = { key: command.lane, ...command.at };
  const request =
    command.kind === 'close'
      ? { action: 'close_sequence', lane, payload: {} }
      : {
          action: 'batch_write',
          lane,
          session_id: command.session_id,
          payload: { operations: [spelled(command.operation)], requires: command.requires },
        };
  const { data, error } = answered(store, request);
  return isJsonObject(error) ? error['code'] : data;
}

function answered(store: OrchestratorStore, request: object): JsonObject {
  const reply = parseTolerantly(answerRequest(store, Buffer.from(encodeJson(request))).toString());
  return isJsonObject(reply) ? reply : {};
}

/** Results of operations say nothing here, except where the fence kept them out. */
function withoutResults(answer: unknown): unknown {
  if (!isJsonObject(answer) || !Array.isArray(answer['results'])) return answer;
  const results = answer['results'].map((result) => {
    const { superseded, already_applied, lane_generation, lane_epoch } = isJsonObject(result) ? result : {};
    return { superseded, already_applied, lane_generation, lane_epoch };
  });
  return { ...answer, results };
}

test('the simulated orchestrator answers as the model of the real one', () => {
  fc.assert(
    fc.property(fc.array(drafts, { minLength: 4, maxLength: 30 }), (history) => {
      const model = new LaneModel();
      const store = new OrchestratorStore({
        isFenceOff: false,
        isDropped: () => false,
        isRefused: () => false,
        resurrects: () => false,
      });
      history.forEach((draft, index) => {
        const command = commandOf(draft, model, `text-${index}`);
        const expected = model.answer(command);
        expect(withoutResults(ask(store, command))).toEqual(withoutResults(expected));
        const keys = ['lane-0', 'lane-1'];
        const { data } = answered(store, { action: 'lane_positions', payload: { keys } });
        const lanes = keys.flatMap((key) => model.position(key) ?? []);
        expect(data).toEqual({ lanes, database: expect.any(String) as string });
      });
    }),
    { numRuns: RUNS },
  );
});
