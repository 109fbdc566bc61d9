#!/usr/bin/env node
import { Command } from 'commander';

// The command line, and the only reader of process.env.
const program = new Command('crossfade').description('Migration proxy for the memory of AI agents');
await program.parseAsync();
