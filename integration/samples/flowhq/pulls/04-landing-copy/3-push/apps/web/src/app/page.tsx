export default function Home() {
  return (
    <main>
      <h1>FlowHQ</h1>
      <p>Miadi, oda na huduma kwa wateja, kwenye WhatsApp.</p>
    </main>
  );
}
