import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type GuardedOrchestrator, startGuarded } from '../../support/access.ts';
import {
  type Command,
  LaneModel,
  type ModelAnswer,
  type ModelOperation,
  operationOf,
} from '../../support/lane-model.ts';
import {
  type OrchestratorClient,
  startOrchestrator,
  type TestOrchestrator,
} from '../../support/orchestrator.ts';
import fc from '../../support/properties.ts';
import { DATABASES } from '../../support/tier.ts';

/** Histories of one command at a time take longer, because the state is read after each. */
const SINGLE_RUNS = 15;
const RUNS = 40;
const TIMEOUT_MS = 120_000;

/** A command in relation to where its lane is, so that most of them are near the limit of what has an effect. */
interface Draft {
  readonly kind: 'write' | 'close';
  readonly lane: number;
  readonly epoch: number;
  readonly generation: number;
  /** Undefined: a part of a copy. */
  readonly sequence: number | undefined;
  readonly operation_id: string | undefined;
  readonly session: number;
  readonly does: ModelOperation['does'];
  readonly requires: readonly { readonly session: 'present' | 'absent' | 'open'; readonly at: number }[];
  /** Sends the command before instead, counted from the last one. */
  readonly again: number | undefined;
}

const often = <T>(usual: T, weight: number, others: fc.Arbitrary<T>): fc.Arbitrary<T> =>
  fc.oneof({ weight, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: others });

const drafts: fc.Arbitrary<Draft> = fc.record({
  kind: often<Draft['kind']>('write', 4, fc.constant('close' as const)),
  lane: fc.nat(1),
  epoch: often(0, 6, fc.constantFrom(-1, 1)),
  generation: often(0, 6, fc.constantFrom(-1, 1)),
  sequence: fc.oneof(
    { weight: 9, arbitrary: fc.integer({ min: -1, max: 2 }) },
    { weight: 1, arbitrary: fc.constant(undefined) },
  ),
  operation_id: fc.constantFrom(undefined, 'a', 'b'),
  session: fc.nat(1),
  does: fc.constantFrom<ModelOperation['does']>('begin', 'say', 'say', 'put', 'end'),
  requires: often<Draft['requires']>(
    [],
    1,
    fc.array(fc.record({ session: fc.constantFrom('present', 'absent', 'open'), at: fc.nat(1) }), {
      maxLength: 2,
    }),
  ),
  again: often<number | undefined>(undefined, 2, fc.nat(4)),
});

/** Commands that are sent at the same time. */
const rounds = fc.array(fc.array(drafts, { minLength: 1, maxLength: 4 }), { minLength: 4, maxLength: 10 });

let run = 0;

/** One history of two lanes and two sessions. */
class History {
  readonly #clients: readonly Pick<OrchestratorClient, 'ask'>[];
  readonly #lanes: readonly string[];
  readonly #sessions: readonly string[];
  readonly #sent: Command[] = [];
  #texts = 0;
  /** Every state that would explain all answers so far. */
  #models = [new LaneModel()];

  constructor(clients: readonly Pick<OrchestratorClient, 'ask'>[]) {
    run += 1;
    this.#clients = clients;
    this.#lanes = [0, 1].map((lane) => `lane-${run}-${lane}`);
    this.#sessions = [0, 1].map((session) => `session-${run}-${session}`);
  }

  async round(together: readonly Draft[]): Promise<void> {
    const commands = together.map((draft) => this.#commandOf(draft));
    this.#sent.push(...commands);
    if (!commands.some(ends)) return this.#send(commands);
    // A plain delivery that waits for its lane sees the sessions of the time when it began to wait.
    await this.#send(commands.filter(isPlain));
    return this.#send(commands.filter((command) => !isPlain(command)));
  }

  async #send(commands: readonly Command[]): Promise<void> {
    const answers = await Promise.all(commands.map((command, index) => this.#ask(command, index)));
    const reached = [...permutations([...commands.keys()])].flatMap((order) =>
      this.#models.flatMap((model) => {
        const next = model.fork();
        const explained = order.every((index) =>
          isEqual(next.answer(commands[index] as Command), answers[index]),
        );
        return explained ? [next] : [];
      }),
    );
    const seen = await this.#seen();
    this.#models = reached.filter((model) => isEqual(this.#shown(model), seen));
    const [first] = this.#models;
    if (first === undefined) {
      const known = { commands, answers, seen, before: reached.map((model) => this.#shown(model)) };
      expect.fail(`no order explains the answers: ${JSON.stringify(known, null, 1)}`);
    }
    this.#models = this.#models.slice(0, 8);
  }

  #commandOf(draft: Draft): Command {
    const before = draft.again === undefined ? undefined : this.#sent.at(-1 - draft.again);
    if (before !== undefined) return before;
    const { kind, operation_id, session, does } = draft;
    const [lane = '', session_id = ''] = [this.#lanes[draft.lane], this.#sessions[session]];
    const { sequence, ...at } = this.#near(lane, draft);
    if (kind === 'close') return { kind, lane, at: { ...at, sequence } };
    const requires = draft.requires
      // Another session that is absent cannot be locked, and is documented so.
      .filter((one) => one.session !== 'absent' || one.at === session)
      .map((one) => ({ session: one.session, session_id: this.#sessions[one.at] ?? '' }));
    const isPartOfCopy = draft.sequence === undefined && operation_id === undefined && requires.length === 0;
    const named = operation_id === undefined ? {} : { operation_id };
    const place = { ...at, ...named, ...(!isPartOfCopy && { sequence }) };
    this.#texts += 1;
    const operation = { does, text: `${session_id}-${this.#texts}` };
    return { kind, lane, at: place, session_id, requires, operation };
  }

  #near(lane: string, by: Draft): { epoch: number; generation: number; sequence: number } {
    const position = this.#models[0]?.position(lane);
    const near = (is = 0, delta = 1): number => Math.max(0, is + delta);
    return {
      epoch: near(position?.epoch, by.epoch),
      generation: near(position?.generation, by.generation),
      sequence: near(position?.sequence ?? 0, by.sequence),
    };
  }

  async #ask(command: Command, index: number): Promise<ModelAnswer> {
    const { ask } = this.#clients[index % this.#clients.length] ?? expect.fail();
    const lane = { key: command.lane, ...command.at };
    const { status, data, error } =
      command.kind === 'close'
        ? await ask('close_sequence', {}, { lane })
        : await ask(
            'batch_write',
            { operations: [operationOf(command.operation)], requires: command.requires },
            { lane, session_id: command.session_id },
          );
    return status === 'success' ? withoutTimes(data) : error.code;
  }

  #shown(model: LaneModel): object {
    return {
      lanes: this.#lanes.flatMap((key) => model.position(key) ?? []),
      sessions: this.#sessions.map((id) => [model.isOpen(id) ?? null, model.texts(id)]),
    };
  }

  async #seen(): Promise<object> {
    const { ask } = this.#clients[0] ?? expect.fail();
    const { data } = await ask('lane_positions', { keys: this.#lanes });
    const sessions = await Promise.all(
      this.#sessions.map(async (session_id) => {
        const { session, items } = (await ask('scan', { limit: 1_000 }, { session_id })).data;
        const row = session as { ended_at: string | null } | null;
        return [row && row.ended_at === null, items.map(({ memory_id }) => memory_id).toSorted()];
      }),
    );
    return { lanes: data['lanes'], sessions };
  }
}

function isPlain(command: Command): boolean {
  return command.kind === 'write' && command.at.operation_id === undefined && command.requires.length === 0;
}

function ends(command: Command): boolean {
  return command.kind === 'write' && command.operation.does === 'end';
}

const TIMES = new Set(['created_at', 'ended_at']);

function withoutTimes(data: object): object {
  return JSON.parse(JSON.stringify(data), (name, value: unknown) =>
    TIMES.has(name) ? undefined : value,
  ) as object;
}

function isEqual(one: unknown, other: unknown): boolean {
  return ordered(one) === ordered(other);
}

/** JSON whose members are in one order. */
function ordered(value: unknown): string {
  return JSON.stringify(value, (_name, member: unknown) =>
    typeof member === 'object' && member !== null && !Array.isArray(member)
      ? Object.fromEntries(Object.entries(member).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : member,
  );
}

function* permutations(indexes: readonly number[]): Generator<readonly number[]> {
  if (indexes.length <= 1) yield indexes;
  else
    for (const first of indexes)
      for (const rest of permutations(indexes.filter((index) => index !== first))) yield [first, ...rest];
}

describe.each(DATABASES)('writes and closes of lanes on %s', (kind) => {
  let guarded: GuardedOrchestrator | undefined;
  const started: TestOrchestrator[] = [];
  const clients: Pick<OrchestratorClient, 'ask'>[] = [];
  beforeAll(async () => {
    if (kind === 'postgres') {
      guarded = await startGuarded({});
      clients.push({ ask: guarded.as(undefined) });
      started.push(await startOrchestrator({ database: { kind, url: guarded.url } }));
    } else started.push(await startOrchestrator({ database: { kind } }));
    clients.push(...started);
  });
  afterAll(async () => {
    for (const one of started) await one.stop();
    await guarded?.stop();
  });

  test('one after the other are answered as the model answers', { timeout: TIMEOUT_MS }, async () => {
    await fc.assert(
      fc.asyncProperty(rounds, async (together) => {
        const history = new History(clients);
        for (const draft of together.flat()) await history.round([draft]);
      }),
      { numRuns: SINGLE_RUNS },
    );
  });

  test(
    'at the same time are answered as in some order, in one process or two',
    { timeout: TIMEOUT_MS },
    async () => {
      await fc.assert(
        fc.asyncProperty(rounds, async (together) => {
          const history = new History(clients);
          for (const drafted of together) await history.round(drafted);
        }),
        { numRuns: RUNS },
      );
    },
  );
});
