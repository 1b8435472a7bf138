namespace Diffusion.Gpu.Kernels;

/// <summary>
/// The memory scope of a computation and, when it records, the list of steps that a backward pass walks in reverse.
/// </summary>
/// <remarks>What a tape makes dies with it unless kept. Ops are methods of this class, one file each under Ops/.</remarks>
public sealed partial class Tape : IDisposable
{
    private readonly List<Step> _steps = [];
    private readonly Dictionary<Storage, Slot> _slots = [];
    private TapeScope _scope;

    internal Tape(Device device, bool recording)
    {
        Device = device;
        Recording = recording;
        _scope = new TapeScope(this, null);
    }

    /// <summary>Where the ops run.</summary>
    public Device Device { get; }

    /// <summary>Whether ops are recorded for a backward pass.</summary>
    public bool Recording { get; }

    private Backend Backend => Device.Backend;

    /// <summary>
    /// Opens a nested scope: on disposal, what was made inside dies, but for what was kept and what the backward pass needs.
    /// </summary>
    public TapeScope Scope() => _scope = new TapeScope(this, _scope);

    /// <summary>Copies values from the host into a tensor of this tape.</summary>
    public Tensor Constant(Shape shape, ReadOnlySpan<float> values)
    {
        var tensor = New(shape);
        tensor.CopyFrom(values);
        return tensor;
    }

    /// <summary>Hands a tensor out of the tape; the caller disposes it.</summary>
    public Tensor Keep(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (tensor.Device != Device)
            throw new ArgumentException($"Keep: the tensor lies on {tensor.Device.Info.Id}, this tape on {Device.Info.Id}.",
                nameof(tensor));
        tensor.Storage.References++;
        return tensor;
    }

    /// <summary>Asks for the gradient of a tensor that is no parameter; read it with <see cref="Gradient"/>.</summary>
    public void Watch(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        SlotOf(tensor).IsWatched = true;
    }

    /// <summary>The gradient of a watched tensor, or null where the last backward pass did not reach it.</summary>
    public Tensor? Gradient(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        return _slots.GetValueOrDefault(tensor.Storage)?.Gradient?.Reshape(tensor.Shape);
    }

    /// <summary>
    /// Walks the record in reverse from a scalar and fills <see cref="Parameter.Gradient"/>; the record is empty afterwards.
    /// </summary>
    /// <param name="loss">[1].</param>
    /// <param name="scale">Multiplies every gradient; 1/n for the n-th part of an accumulated batch.</param>
    /// <exception cref="InvalidOperationException">The tape does not record, or nothing trainable leads to the loss.</exception>
    public void Backward(Tensor loss, float scale = 1)
    {
        ArgumentNullException.ThrowIfNull(loss);
        Check.Shape(loss, [1], "a scalar");
        using var scope = Scope();
        var seed = New(loss.Shape);
        Backend.Fill(seed, scale);
        Backward(loss, seed);
    }

    /// <summary>Walks the record in reverse from a tensor whose gradient is given.</summary>
    /// <param name="output">Any recorded tensor.</param>
    /// <param name="upstream">The gradient of the loss with respect to it, of the same shape.</param>
    public void Backward(Tensor output, Tensor upstream)
    {
        ArgumentNullException.ThrowIfNull(output);
        ArgumentNullException.ThrowIfNull(upstream);
        Check.Shape(upstream, output.Shape, "the output's shape");
        if (!Recording)
            throw new InvalidOperationException("Backward: this tape does not record; make it with NewTape(recording: true).");
        if (!_slots.ContainsKey(output.Storage))
            throw new InvalidOperationException("Backward: no trainable parameter and no watched tensor leads to this output.");
        Backend.Accumulate(upstream, new Gradients(this).To(output));
        for (int i = _steps.Count - 1; i >= 0; i--)
        {
            Run(_steps[i]);
            _steps.RemoveAt(i);
        }
    }

    /// <summary>Frees everything that was not kept.</summary>
    public void Dispose()
    {
        foreach (var step in _steps)
            step.ReleaseSaved();
        _steps.Clear();
        foreach (var slot in _slots.Values)
            slot.DropGradient();
        _slots.Clear();
        while (_scope.Outer is not null)
            _scope.Dispose();
        _scope.ReleaseAll();
    }

    /// <summary>Makes a tensor in the innermost scope to be written slice by slice; its values are undefined.</summary>
    public Tensor New(Shape shape)
    {
        var storage = Backend.Allocate(shape.Count);
        _scope.Add(storage);
        return new Tensor(Device, shape, storage);
    }

    /// <summary>Ends the innermost scope.</summary>
    internal void Leave(TapeScope scope)
    {
        if (scope != _scope)
            throw new InvalidOperationException("Tape scopes end in the reverse order of their beginning.");
        _scope = scope.Outer!;
    }

    /// <summary>
    /// Notes how the gradient of <paramref name="output"/> reaches <paramref name="inputs"/>; a no-op where none of them wants one.
    /// </summary>
    /// <param name="saved">What the rule reads besides dy: held until the rule has run.</param>
    private Tensor Record(Tensor output, ReadOnlySpan<Tensor?> inputs, ReadOnlySpan<Tensor?> saved, BackwardRule rule)
    {
        if (!Recording)
            return output;
        bool wanted = false;
        foreach (var input in inputs)
            wanted |= input is not null && IsTracked(input);
        if (!wanted)
            return output;
        var held = new List<Storage>(saved.Length);
        foreach (var tensor in saved)
        {
            if (tensor is null)
                continue;
            tensor.Storage.References++;
            held.Add(tensor.Storage);
        }
        SlotOf(output);
        _steps.Add(new Step(output.Shape, output.Storage, held, rule));
        return output;
    }

    private bool IsTracked(Tensor tensor) => tensor.Identity.Parameter is not null || _slots.ContainsKey(tensor.Identity);

    private Slot SlotOf(Tensor tensor)
    {
        if (!_slots.TryGetValue(tensor.Identity, out var slot))
            _slots[tensor.Identity] = slot = new Slot();
        return slot;
    }

    private void Run(Step step)
    {
        var slot = _slots[step.Output];
        if (slot.Gradient is { } gradient)
        {
            using var workspace = Scope();
            if (slot.IsWatched)
                gradient.Storage.References++; // a second holder: Donate must not give it away
            step.Rule(new Gradients(this), gradient.Reshape(step.OutputShape));
            if (slot.IsWatched)
                gradient.Dispose();
        }
        step.ReleaseSaved();
        if (slot.IsWatched)
            return;
        slot.DropGradient();
        _slots.Remove(step.Output);
    }

    /// <summary>How one op's gradient reaches its inputs, given the gradient of its output.</summary>
    private delegate void BackwardRule(Gradients gradients, Tensor dy);

    private sealed record Step(Shape OutputShape, Storage Output, List<Storage> Saved, BackwardRule Rule)
    {
        public void ReleaseSaved()
        {
            foreach (var storage in Saved)
                storage.Release();
            Saved.Clear();
        }
    }

    private sealed class Slot
    {
        public bool IsWatched { get; set; }

        public Tensor? Gradient { get; set; }

        public void DropGradient()
        {
            Gradient?.Dispose();
            Gradient = null;
        }
    }

    /// <summary>What a backward rule asks for: where each input's gradient goes.</summary>
    private readonly struct Gradients(Tape tape)
    {
        public Tensor New(Shape shape) => tape.New(shape);

        public bool Wants(Tensor? input) => input is not null && tape.IsTracked(input);

        /// <summary>The buffer for an input's gradient; the first writer overwrites, later ones add.
        /// Empty where it is not wanted.</summary>
        public GradientTarget To(Tensor? input)
        {
            if (input is null || !tape.IsTracked(input))
                return default;
            if (input.Identity.Parameter is { } parameter)
            {
                parameter.Owner!.EnsureGradients();
                bool accumulate = parameter.HasGradient;
                parameter.HasGradient = true;
                return new GradientTarget(parameter.Gradient!.Reshape(input.Shape), accumulate);
            }
            var slot = tape.SlotOf(input);
            if (slot.Gradient is not null)
                return new GradientTarget(slot.Gradient.Reshape(input.Shape), Accumulate: true);
            slot.Gradient = tape.Device.NewTensor(input.Shape);
            return new GradientTarget(slot.Gradient, Accumulate: false);
        }

        /// <summary>Passes dy on unchanged: moves the buffer where the input has no gradient yet, else adds.</summary>
        /// <remarks>Must be the rule's last use of dy.</remarks>
        public void Donate(Tensor dy, Tensor? input)
        {
            if (!Wants(input))
                return;
            if (dy.Storage.References == 1 && input!.Identity.Parameter is null && tape.SlotOf(input) is { Gradient: null } slot)
            {
                dy.Storage.References++;
                slot.Gradient = dy.Reshape(input.Shape);
            }
            else
            {
                tape.Backend.Accumulate(dy, To(input));
            }
        }
    }
}

/// <summary>A span of a tape: what is made inside dies at its end unless kept or needed by the backward pass.</summary>
public sealed class TapeScope : IDisposable
{
    private readonly Tape _tape;
    private readonly List<Storage> _made = [];

    internal TapeScope(Tape tape, TapeScope? outer)
    {
        _tape = tape;
        Outer = outer;
    }

    internal TapeScope? Outer { get; }

    /// <summary>Hands a tensor to the enclosing scope.</summary>
    public Tensor Keep(Tensor tensor)
    {
        ArgumentNullException.ThrowIfNull(tensor);
        if (_made.Remove(tensor.Storage))
            Outer!.Add(tensor.Storage);
        return tensor;
    }

    /// <summary>Ends the scope.</summary>
    public void Dispose()
    {
        _tape.Leave(this);
        ReleaseAll();
    }

    internal void Add(Storage storage) => _made.Add(storage);

    internal void ReleaseAll()
    {
        foreach (var storage in _made)
            storage.Release();
        _made.Clear();
    }
}

/// <summary>Where a gradient is written, and whether it adds to what is there; empty where nobody wants it.</summary>
/// <param name="Tensor">The buffer, or null.</param>
/// <param name="Accumulate">False: overwrite (the buffer's values are undefined). True: add.</param>
internal readonly record struct GradientTarget(Tensor? Tensor, bool Accumulate);
