using System.Runtime.InteropServices;

namespace Diffusion.Gpu.Tools;

/// <summary>Turns the first Ctrl-C (or SIGTERM) into a request to stop at a safe point; the second one ends the process.</summary>
internal sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource _source = new();
    private readonly PosixSignalRegistration[] _registrations;

    /// <param name="onRequested">Called once, at the first signal: tell the user what happens next.</param>
    public Interruption(Action? onRequested = null)
    {
        void Handle(PosixSignalContext context)
        {
            if (_source.IsCancellationRequested)
                return; // the default action: the process ends
            context.Cancel = true;
            onRequested?.Invoke();
            _source.Cancel();
        }

        _registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];
    }

    public CancellationToken Token => _source.Token;

    public void Dispose()
    {
        foreach (var registration in _registrations)
            registration.Dispose();
        _source.Dispose();
    }
}
