import fc from 'fast-check';

/** In CI the values are the same every time: what fails there, fails for what was changed. Everywhere else each run looks at others. */
if (process.env['CI'] !== undefined) fc.configureGlobal({ ...fc.readConfigureGlobal(), seed: 1_121 });

export { default } from 'fast-check';
