import { Command } from 'commander';
import { flipSections } from '../operator/views/flips.ts';
import { sectionsText } from '../operator/views/terminal.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import {
  personOptions,
  proxyOptions,
  type PersonOptions,
  type ProxyOptions,
  SERVICE_ARGUMENT,
} from './proxy-options.ts';

/** `crossfade flips`: which lanes have their writes moved, what keeps others from it, and the person who stops it. */
export function createFlipsCommand(env: Environment): Command {
  const flips = new Command('flips')
    .description('Show how the writes of a service move to the orchestrator, and hold or allow further flips')
    .addHelpText('afterAll', '\nExit codes: 0 success, 1 error (reason on stderr).');
  proxyOptions(
    flips
      .command('show')
      .argument(...SERVICE_ARGUMENT)
      .description(
        'Show how many lanes are flipped, what a flip needs, which lanes are stuck, and what agents notice after a flip',
      ),
    env,
  ).action(show);
  personOptions(
    flips
      .command('hold')
      .argument(...SERVICE_ARGUMENT)
      .description('Stop further flips of a service; flipped lanes stay on the orchestrator'),
    env,
  ).action((service: string, wish: PersonOptions) => decide('holdFlips', service, wish));
  personOptions(
    flips
      .command('lift')
      .argument(...SERVICE_ARGUMENT)
      .description('Let lanes of a service be flipped again'),
    env,
  ).action((service: string, wish: PersonOptions) => decide('liftFlips', service, wish));
  personOptions(
    flips
      .command('first')
      .argument(...SERVICE_ARGUMENT)
      .option('--lane <owner>', 'owner of the lane that is flipped first (required)')
      .description('Let one lane be flipped before the way back is proven; its writes prove it')
      .addHelpText('after', FIRST_HELP),
    env,
  ).action(letFirst);
  return flips;
}

const FIRST_HELP = `
Only for a service that holds nearly as many owners as it keeps. With one more owner it would delete an owner of the agents, so
Crossfade does not test the way back with an owner of its own.
All other facts that a flip needs must hold. The decision counts for 24 h, or until another lane is named.`;

interface FirstOptions extends PersonOptions {
  readonly lane: string;
}

async function letFirst(
  service: string,
  { lane: owner, person, reason, json, ...at }: FirstOptions,
): Promise<void> {
  const body = { person, reason, owner };
  const text = await callProxy(at, 'letFirstFlip', { params: { service }, body });
  if (json === true) return console.log(text);
  const { goes_first: first } = parsed(text);
  console.log(`${first.lane} goes first: crossfade flips show ${service}`);
}

async function show(service: string, { json, ...at }: ProxyOptions): Promise<void> {
  const text = await callProxy(at, 'showFlips', { params: { service } });
  if (json === true) return console.log(text);
  console.log(sectionsText(flipSections(parsed(text))));
}

async function decide(
  endpoint: 'holdFlips' | 'liftFlips',
  service: string,
  { person, reason, json, ...at }: PersonOptions,
): Promise<void> {
  const text = await callProxy(at, endpoint, { params: { service }, body: { person, reason } });
  if (json === true) return console.log(text);
  const { state } = parsed(text);
  console.log(
    state === 'held' ? `further flips of ${service} are held` : `lanes of ${service} may be flipped`,
  );
}
