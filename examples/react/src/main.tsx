import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';

import { App } from './app.tsx';

createRoot(document.getElementById('app')!).render(
  <StrictMode>
    <App url={new URL('/graphql', location.href).href} />
  </StrictMode>,
);
