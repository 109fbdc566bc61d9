import { EXPLAINED_CLASSES } from '../../src/domain/comparison.ts';
import { laneKeyOf, serviceName, type Owner } from '../../src/domain/ids.ts';
import { GUARD_LIMITS } from '../../src/engine/guard/triggers.ts';
import { createAgent } from '../../src/sandbox/agent.ts';
import type { Dialogue } from '../accept/dialogues.ts';
import type { BenchService, Fault } from './verdict-faults.ts';
import type { Injection } from './verdict-injector.ts';
import type { Case } from './verdict-judge.ts';
import { type Concluded, type VerdictWatch } from './verdict-watch.ts';
import type { VerdictWorld } from './verdict-world.ts';

/** Lanes that are written and read at the same time. */
const AGENTS = 32;
/** Of a class whose answers are late: so few that legacy's own answers take less than 20 ms. */
const UNHURRIED_AGENTS = 8;
/** What is looked at again waits a quarter of a second, and for its lane. */
const CONCLUDED_WITHIN_MS = 4_000;
/** A lane whose last write is still on its way reads from legacy: nothing of the orchestrator's would be asked. */
const DELIVERED_WITHIN_MS = 2_000;
/** Turns of a dialogue that stand before its lane is read: a ranking of fewer is alike in any order. */
const FIRST_TURNS: Readonly<Record<BenchService, number>> = {
  'session-memory': 2,
  'contextual-memory': 1,
  'jarvis-memory': 1,
  'ranked-memory': 10,
  'measured-memory': 1,
  'expiring-memory': 1,
};
const MORE_READS = 4;

interface Plan {
  readonly world: VerdictWorld;
  readonly watch: VerdictWatch;
  readonly injection: Injection;
  readonly dialogues: readonly Dialogue[];
  readonly reads: number;
  /** Where the names of its lanes begin: another one in each call of a class. */
  readonly firstLane: number;
  readonly onRead: () => void;
}

/** Replays dialogues to lanes of their own, each read followed until the product has concluded about it. */
export async function probe(plan: Plan): Promise<Case[]> {
  const cases: Case[] = [];
  let lane = plan.firstLane;
  const agents = plan.injection.fault.way === 'delay' ? UNHURRIED_AGENTS : AGENTS;
  const work = async (): Promise<void> => {
    const agent = createAgent({ endpoint: plan.world.endpoints[plan.injection.fault.service] });
    try {
      while (cases.length < plan.reads) {
        const { name, seed } = plan.injection;
        const index = lane++;
        const owner = `${name}-${seed}-${index}`;
        const dialogue = plan.dialogues[index % plan.dialogues.length];
        for await (const one of readsOf({ plan, agent, owner, dialogue })) {
          cases.push(one);
          plan.onRead();
        }
      }
    } finally {
      agent.close();
    }
  };
  await Promise.all(Array.from({ length: agents }, work));
  return cases;
}

interface Lane {
  readonly plan: Plan;
  readonly agent: ReturnType<typeof createAgent>;
  readonly owner: string;
  readonly dialogue: Dialogue | undefined;
}

async function* readsOf({ plan, agent, owner, dialogue }: Lane): AsyncGenerator<Case> {
  const { fault } = plan.injection;
  const speak = WORDS[fault.service];
  const say = async (request: object | undefined): Promise<void> => {
    if (request !== undefined) await agent.call(JSON.stringify(request));
  };
  const first = FIRST_TURNS[fault.service];
  await say(speak.create?.(owner));
  for (let written = 0; written < first + MORE_READS; written += 1) {
    if (fault.isCleared === true && written + 1 === first) await say(speak.clear?.(owner));
    await say(speak.write(owner, turnOf(dialogue, written)));
    if (written + 1 < first) continue;
    const lane = laneKeyOf(serviceName(fault.service), owner as Owner);
    if (fault.isCutOver === true)
      await plan.watch.delivered(lane, sequenceOf(speak, written), DELIVERED_WITHIN_MS);
    const askedAtSeconds = performance.now() / 1_000;
    const by = fault.trigger === 'latency' ? 'reply' : 'comparison';
    const concluded = plan.watch.next(lane, CONCLUDED_WITHIN_MS, by);
    await say(speak.read(owner));
    const said = await concluded;
    const [{ isInjected }, isDetected] = [said, detectedBy(fault, said)];
    yield { isInjected, isDetected, askedAtSeconds, concludedAtSeconds: performance.now() / 1_000 };
  }
}

function turnOf(dialogue: Dialogue | undefined, written: number): Said {
  const { turns = [] } = dialogue ?? {};
  const { speaker = 'user', text = '' } = turns[written % Math.max(1, turns.length)] ?? {};
  return { role: speaker, text: `${text} (${written})`, number: written };
}

/** Of the last write of a lane that was written to so often before. */
function sequenceOf(speak: Words, written: number): number {
  return written + (speak.create === undefined ? 1 : 2);
}

/** What is explained away is compared, and not found. */
function detectedBy({ way, trigger }: Fault, said: Concluded): boolean | undefined {
  // An answer that fails or is late differs in no member: it counts as a failure, or by its latency.
  if (way === 'error') return said.pair?.isFailure;
  if (way === 'delay') return isLate(said);
  const { verdict, reason, deletedReturned = 0 } = said.comparison ?? {};
  const isExplained = EXPLAINED_CLASSES.some((one) => one === reason);
  if (verdict === undefined || (verdict === 'not_comparable' && !isExplained)) return undefined;
  return trigger === undefined ? verdict === 'mismatch' : deletedReturned > 0;
}

/** An answer that nobody delayed, and that came late all the same, says what the machine was at, and nothing of the product. */
function isLate({ pair, isInjected, wasBusy }: Concluded): boolean | undefined {
  if (pair === undefined || (!isInjected && wasBusy)) return undefined;
  return pair.isFailure || (pair.ms ?? 0) > GUARD_LIMITS.addedMs;
}

interface Said {
  readonly role: string;
  readonly text: string;
  readonly number: number;
}

interface Words {
  create?(owner: string): object;
  write(owner: string, said: Said): object;
  read(owner: string): object;
  clear?(owner: string): object;
}

const session: Words = {
  create: (owner) => ({ action: 'create_session', session_id: owner, user_id: 'ana', request_id: 'c' }),
  write: (owner, { role, text: content }) => ({
    action: 'add_interaction',
    session_id: owner,
    role,
    content,
    request_id: 'w',
  }),
  read: (owner) => ({ action: 'get_context', session_id: owner, request_id: 'r' }),
  clear: (owner) => ({ action: 'clear_session', session_id: owner, request_id: 'd' }),
};

const jarvis: Words = {
  write: (owner, { text: name, number }) => ({
    action: 'add_memory',
    user_id: owner,
    memory: { type: 'preference', name, weight: number + 0.25 },
  }),
  read: (owner) => ({ action: 'get_memories', user_id: owner }),
};

const contextual: Words = {
  write: (owner, { text: decision }) => ({ action: 'record_decision', session_id: owner, decision }),
  read: (owner) => ({ action: 'get_context', session_id: owner }),
};

const WORDS: Readonly<Record<BenchService, Words>> = {
  'session-memory': session,
  'contextual-memory': contextual,
  'jarvis-memory': jarvis,
  'ranked-memory': session,
  'measured-memory': jarvis,
  'expiring-memory': jarvis,
};
