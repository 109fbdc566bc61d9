import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { messageOf } from '../../src/domain/errors.ts';
import type { Attack, Sums } from './attack.ts';
import { readOptions, USAGE, type Options } from './options.ts';
import { Others } from './others.ts';
import { residentMegabytes, startWorld, type Port, type World } from './world.ts';

/** What the last line says of a port. */
interface PortResult extends Sums {
  readonly port: number;
  readonly name: string;
  readonly protocol: string;
  readonly crashes: number;
  readonly max_other_p99_ratio: number;
  readonly max_rss_mb: number;
  /** How often it was attacked: once more where the ratio was too high. */
  readonly measured: number;
}

const MOST_RATIO = 3;
/** An attack comes in parts, with rests between them: what else the machine does then falls on both alike. */
const PART_SECONDS = 2;
const REST_MS = 1_000;
/** Code is compiled, and lanes are copied. */
const WARM_UP_MS = 5_000;
const ATTACK = fileURLToPath(new URL('attack.ts', import.meta.url));

const isAlive = ({ owner }: Port): boolean =>
  owner.child.exitCode === null && owner.child.signalCode === null;

async function attacked(port: Port, options: Options, { attacker, others }: Sides) {
  const sums: Sums = { messages: 0, answered: 0, refused: 0 };
  let rss = 0;
  const look = setInterval(() => (rss = Math.max(rss, residentMegabytes(port.owner))), 100);
  const { name, protocol } = port;
  const parts = Math.ceil(options.seconds / PART_SECONDS);
  for (let part = 0; part < parts; part += 1) {
    await sleep(REST_MS);
    const seconds = Math.min(PART_SECONDS, options.seconds - part * PART_SECONDS);
    const attack: Attack = { name, protocol, port: port.port, seconds, seed: options.seed * 1_000 + part };
    const done = once(attacker, 'message');
    others.attacked(true);
    attacker.send(attack);
    const [came] = (await done) as [Sums];
    others.attacked(false);
    for (const key of ['messages', 'answered', 'refused'] as const) sums[key] += came[key];
    if (!isAlive(port)) break;
  }
  clearInterval(look);
  return { ...sums, rss };
}

interface Sides {
  readonly attacker: ChildProcess;
  readonly others: Others;
}

async function measured(port: Port, options: Options, sides: Sides): Promise<PortResult> {
  const { others } = sides;
  others.p99();
  const { rss, ...sums } = await attacked(port, options, sides);
  const p99 = others.p99();
  const result = {
    port: port.port,
    name: port.name,
    protocol: port.protocol,
    ...sums,
    crashes: isAlive(port) ? 0 : 1,
    max_other_p99_ratio: Number((p99.attacked / p99.quiet).toFixed(2)),
    max_rss_mb: rss,
    measured: 1,
  };
  if (!options.isJson)
    console.error(
      `${port.name}: p99 ${p99.attacked.toFixed(1)} ms, without ${p99.quiet.toFixed(1)} ms`,
      result,
    );
  return result;
}

/** Of two measurements, the lower ratio, and the worse of everything else. */
function either(first: PortResult, second: PortResult): PortResult {
  return {
    ...second,
    messages: first.messages + second.messages,
    answered: first.answered + second.answered,
    refused: first.refused + second.refused,
    max_other_p99_ratio: Math.min(first.max_other_p99_ratio, second.max_other_p99_ratio),
    max_rss_mb: Math.max(first.max_rss_mb, second.max_rss_mb),
    measured: first.measured + second.measured,
  };
}

async function fuzz(world: World, options: Options, attacker: ChildProcess): Promise<PortResult[]> {
  const others = new Others(world);
  others.start();
  await sleep(WARM_UP_MS);
  const results: PortResult[] = [];
  const ports = world.ports.filter(
    ({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)),
  );
  for (const port of ports) {
    const first = await measured(port, options, { attacker, others });
    // A shared machine may stall once. What an attack does, it does again.
    const isSlow = first.crashes === 0 && first.max_other_p99_ratio > MOST_RATIO;
    const result = isSlow ? either(first, await measured(port, options, { attacker, others })) : first;
    results.push(result);
    if (result.crashes > 0) break;
  }
  await others.stop();
  return results;
}

async function run(options: Options): Promise<boolean> {
  const world = await startWorld();
  const attacker = fork(ATTACK);
  try {
    const ports = await fuzz(world, options, attacker);
    console.log(JSON.stringify({ ports }));
    return ports.every((port) => port.crashes === 0 && port.max_other_p99_ratio <= MOST_RATIO);
  } finally {
    attacker.disconnect();
    attacker.kill();
    await world.stop();
  }
}

try {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) console.log(USAGE);
  else if (!(await run(options))) process.exitCode = 1;
} catch (error) {
  console.error(`fuzz: ${messageOf(error)}`);
  process.exitCode = 1;
}
