import { createStandInsCommand } from '../../../src/cli/stand-ins.ts';

// What a test forks: the command alone.
await createStandInsCommand().parseAsync();
