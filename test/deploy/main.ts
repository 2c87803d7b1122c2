/** `npm run test:deploy`: the proof of deployment, where this machine can give it. */
import { findMoto } from './moto.ts';

if (findMoto() === undefined) {
  console.error(
    'The proof of deployment needs moto_server on the PATH, an emulation of AWS that is a Python package: ' +
      'pip install "moto[server]" (5.2.1 is known to work), then run this again. Nothing was proved.',
  );
  process.exitCode = 1;
} else {
  await import('./deployment.ts');
  await import('./replica.ts');
}
