import { Command } from 'commander';
import { statusSections } from '../operator/views/status.ts';
import { sectionText } from '../operator/views/terminal.ts';
import { callProxy, parsed, type Environment } from './operator-client.ts';
import { proxyOptions, type ProxyOptions } from './proxy-options.ts';

/** `crossfade status`: every service with its stage, what waits for a person, and what blocks its flags. */
export function createStatusCommand(env: Environment): Command {
  const command = new Command('status')
    .description(
      'Show the stage of each service, which decisions wait for a person, and what blocks its flags',
    )
    .addHelpText(
      'after',
      '\nExit codes: 0 success, 1 error (reason on stderr). For a CI gate use crossfade report --check.',
    );
  return proxyOptions(command, env, 'print all facts, as JSON').action(
    async ({ json, ...at }: ProxyOptions) => {
      const text = await callProxy(at, 'showStatus', {});
      console.log(json === true ? text : statusSections(parsed(text)).map(sectionText).join('\n\n'));
    },
  );
}
