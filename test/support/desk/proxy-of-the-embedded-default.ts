import { loadConfig } from '../../../src/config/config.ts';
import { loadDefinitions } from '../../../src/compose/definitions.ts';
import { createProxy } from '../../../src/compose/proxy.ts';
import { runUntilStopped } from '../../../src/cli/run.ts';

// What `crossfade start` runs without --config, beside stand-ins and an orchestrator that are the test's own. Arguments: start --config FILE.
const [, , , , file = ''] = process.argv;
const config = loadConfig(file, process.env, 'embedded');
const services = await loadDefinitions(config);
const proxy = createProxy({ config, services, version: 'test', isTerminal: false, listeners: [] });
await runUntilStopped(proxy, () => process.send?.({ type: 'ready' }));
