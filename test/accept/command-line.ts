import { InvalidArgumentError, type Command } from 'commander';
import { messageOf } from '../../src/domain/errors.ts';

/** A whole number above 0. @throws InvalidArgumentError, which the command line prints */
export function parseCount(text: string): number {
  if (!/^[1-9]\d*$/.test(text))
    throw new InvalidArgumentError(`must be a whole number above 0, got "${text}"`);
  return Number(text);
}

/** Runs the command; what it cannot go on after is one line and exit code 1. */
export async function runToItsEnd(program: Command): Promise<void> {
  try {
    await program.parseAsync();
  } catch (error) {
    console.error(`${program.name()}: ${messageOf(error)}`);
    process.exitCode = 1;
  }
}
