/** `npm run test:runbook`: every procedure of docs/operations.md, "Events", followed on real servers. */
import './pipeline-events.ts';
import './server-events.ts';
