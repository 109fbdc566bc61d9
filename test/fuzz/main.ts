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
}

const MOST_RATIO = 3;
/** Without an attack, before the first and after each: a share of the time of the attack. */
const QUIET_SHARE = 0.5;
const ATTACK = fileURLToPath(new URL('attack.ts', import.meta.url));

const isAlive = ({ owner }: Port): boolean =>
  owner.child.exitCode === null && owner.child.signalCode === null;

async function attacked(
  port: Port,
  options: Options,
  attacker: ChildProcess,
): Promise<Sums & { readonly rss: number }> {
  let rss = 0;
  const look = setInterval(() => (rss = Math.max(rss, residentMegabytes(port.owner))), 100);
  const { name, protocol } = port;
  const attack: Attack = { name, protocol, port: port.port, seconds: options.seconds, seed: options.seed };
  const done = once(attacker, 'message');
  attacker.send(attack);
  const [sums] = (await done) as [Sums];
  clearInterval(look);
  return { ...sums, rss };
}

async function fuzz(world: World, options: Options, attacker: ChildProcess): Promise<PortResult[]> {
  const others = new Others(world);
  others.start();
  const quietMs = options.seconds * 1_000 * QUIET_SHARE;
  // Code is compiled, and lanes are copied.
  await sleep(Math.max(3_000, quietMs));
  others.p99();
  await sleep(quietMs);
  let before = others.p99();
  const results: PortResult[] = [];
  const ports = world.ports.filter(
    ({ name }) => options.only.length === 0 || options.only.some((part) => name.includes(part)),
  );
  for (const port of ports) {
    const { rss, ...sums } = await attacked(port, options, attacker);
    const during = others.p99();
    await sleep(quietMs);
    const after = others.p99();
    const ratio = during / Math.max(before, after);
    before = after;
    const result = {
      port: port.port,
      name: port.name,
      protocol: port.protocol,
      ...sums,
      crashes: isAlive(port) ? 0 : 1,
      max_other_p99_ratio: Number(ratio.toFixed(2)),
      max_rss_mb: rss,
    };
    results.push(result);
    if (!options.isJson)
      console.error(`${port.name}: p99 ${during.toFixed(1)} ms, without ${after.toFixed(1)} ms`, result);
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
