import { setTimeout as sleep } from 'node:timers/promises';
import { Random } from '../sim/random.ts';
import { deskSeeds, legacySeeds, operatorSeeds, orchestratorSeeds, type Seed } from './seeds.ts';
import { exchange, httpMessage, zmqMessage } from './wire.ts';

/** What is attacked, as the parent process says. */
export interface Attack {
  readonly name: string;
  readonly port: number;
  readonly protocol: 'zmq' | 'http';
  readonly seconds: number;
  readonly seed: number;
}

/** What came of it. */
export interface Sums {
  messages: number;
  answered: number;
  refused: number;
}

const WORKERS = 4;
/** Between two messages of a worker. The processors are shared by all processes of the run. */
const PAUSE_MS = 20;

function seedsOf(name: string): readonly Seed[] {
  if (name.startsWith('orchestrator')) return orchestratorSeeds();
  if (name === 'desk') return deskSeeds();
  if (name === 'http')
    return [...legacySeeds('session-memory'), ...legacySeeds('jarvis-memory'), ...operatorSeeds()];
  const service = name.replace(/ (?:health|broadcasts)$/, '');
  return legacySeeds(service);
}

async function run({ name, port, protocol, seconds, seed }: Attack): Promise<Sums> {
  const sums: Sums = { messages: 0, answered: 0, refused: 0 };
  const seeds = seedsOf(name);
  const endAtMs = performance.now() + seconds * 1_000;
  const work = async (worker: number): Promise<void> => {
    const random = new Random(seed * 1_000 + worker);
    while (performance.now() < endAtMs) {
      const valid = random.pick(seeds);
      const message = protocol === 'zmq' ? zmqMessage(valid, random) : httpMessage(valid, random);
      const outcome = await exchange(port, message, protocol);
      sums.messages += 1;
      if (outcome !== 'silent') sums[outcome] += 1;
      await sleep(PAUSE_MS);
    }
  };
  await Promise.all(Array.from({ length: WORKERS }, (_, worker) => work(worker)));
  return sums;
}

process.on('message', (attack: Attack) => {
  void run(attack).then((sums) => process.send?.(sums));
});
