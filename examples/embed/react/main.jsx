import { StrictMode } from 'react';
import { createRoot } from 'react-dom/client';
import { GoatTrainer } from './goat-trainer.jsx';

createRoot(document.querySelector('#root')).render(
  <StrictMode>
    <h1>A model learns a name</h1>
    <GoatTrainer />
  </StrictMode>,
);
