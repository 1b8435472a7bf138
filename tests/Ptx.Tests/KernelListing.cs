using Diffusion.Gpu.Fid;
using Diffusion.Gpu.Kernels;
using Diffusion.Gpu.Kernels.OpCases;
using Diffusion.Gpu.Samplers;
using Diffusion.Gpu.Training;

namespace Diffusion.Gpu.Ptx.Tests;

/// <summary>Every kernel that the op cases and whole models launch, with all type arguments; nothing is computed.</summary>
/// <remarks>The backend asks its launcher for kernels as on a GPU, but the launcher only notes them. So the list has what the choices
/// of the backend really lead to, for shapes far too large to emulate.</remarks>
internal static class KernelListing
{
    /// <summary>Kernels of 32-bit floats by name, in order.</summary>
    private static readonly SortedDictionary<string, KernelUse> Portable = List(Precision.Float32);

    /// <summary>All kernels, those for tensor cores too.</summary>
    public static IReadOnlyDictionary<string, KernelUse> All { get; } = new SortedDictionary<string, KernelUse>(
        Portable.UnionBy(List(Precision.Tf32), entry => entry.Key).UnionBy(List(Precision.Bf16), entry => entry.Key).ToDictionary(),
        StringComparer.Ordinal);

    /// <summary>The kernels that run on an architecture.</summary>
    /// <param name="architecture">75, 80, ...</param>
    public static IReadOnlyDictionary<string, KernelUse> For(int architecture) => architecture switch
    {
        < 80 => Portable,
        90 => All,
        _ => All.Where(entry => !IsOfWarpgroup(entry.Key)).ToDictionary(),
    };

    /// <summary>Whether a kernel of this name runs on compute capability 9.0 alone.</summary>
    public static bool IsOfWarpgroup(string name) => name.Contains(nameof(WarpgroupTile<,>), StringComparison.Ordinal);

    private static SortedDictionary<string, KernelUse> List(Precision precision)
    {
        var found = new SortedDictionary<string, KernelUse>(StringComparer.Ordinal);
        using var device = new Device(GpuBackend.DescribeEmulator(), precision,
            device => new GpuBackend(device, launch => Note(found, launch.Use)));
        foreach (var opCase in Catalogue.All)
            Call(device, opCase);
        TrainAndSample(device);
        ExtractFeatures(device);
        if (precision == Precision.Float32)
        {
            ((GpuBackend)device.Backend).OnlyParts = 2;
            foreach (var opCase in Catalogue.Conv2D.Concat(Catalogue.MatMul))
                Call(device, opCase);
            return found;
        }
        // A shape of the cases has one tile and whole sums or split ones; a larger one of the same product has others.
        var backend = (GpuBackend)device.Backend;
        foreach (var tile in TileChoice.AllAndWarpgroups)
        {
            foreach (int? parts in new int?[] { null, 2 })
            {
                (backend.OnlyTile, backend.OnlyParts) = (tile, parts);
                foreach (var opCase in Catalogue.Conv2D.Concat(Catalogue.MatMul))
                    Call(device, opCase);
            }
        }
        return found;
    }

    /// <summary>A kernel is compiled once, for one number of threads and one size of shared memory.</summary>
    private static void Note(SortedDictionary<string, KernelUse> found, KernelUse use)
    {
        if (!found.TryAdd(use.Name, use) && found[use.Name] != use)
            throw new InvalidOperationException($"{found[use.Name]} is also launched as {use}");
    }

    private static void Call(Device device, OpCase opCase)
    {
        foreach (bool recording in opCase.InferenceOnly ? new[] { false } : [false, true])
        {
            using var tape = device.NewTape(recording);
            var inputs = opCase.Inputs.Select((input, i) => tape.Constant(input.Shape, opCase.Values[i])).ToArray();
            for (int i = 0; recording && i < inputs.Length; i++)
            {
                if (opCase.Inputs[i].HasGradient)
                    tape.Watch(inputs[i]);
            }
            var result = opCase.Call(tape, inputs);
            if (recording && opCase.HasGradient)
                tape.Backward(result, tape.Constant(result.Shape, new float[result.Shape.Count]));
        }
    }

    /// <summary>A training step and a sample of networks that together use everything the modules offer.</summary>
    private static void TrainAndSample(Device device)
    {
        UnetOptions[] networks =
        [
            new(),
            new() { Dim = 32, DimMults = [1, 2], Channels = 1, SelfCondition = true, Dropout = 0.1f },
        ];
        foreach (var network in networks)
        {
            var diffusion = new GaussianDiffusion(new DiffusionOptions { ImageSize = 32, OffsetNoiseStrength = 0.1f });
            using var state = new TrainingState(device, network, new TrainerOptions());
            using (var tape = device.NewTape())
            {
                var images = tape.Constant([4, 32, 32, network.Channels], new float[4 * 32 * 32 * network.Channels]);
                tape.Backward(diffusion.Loss(tape, state.Online, images, seed: 0, microStep: 0));
            }
            state.Adam.MeasureGradient();
            state.Adam.Step(maxNorm: 1);
            state.Ema.Update();
            foreach (var sampler in new Sampler[] { new Ddim(diffusion, 2), new DpmSolverPlusPlus(diffusion, 3) })
                sampler.Sample(state.Average, count: 2, seed: 0).Dispose();
        }
    }

    private static void ExtractFeatures(Device device)
    {
        using var network = new InceptionV3(device, InceptionWeights.Hash());
        using var tape = device.NewTape(recording: false);
        var images = tape.Constant([2, InceptionV3.ImageSize, InceptionV3.ImageSize, 3],
            new float[2 * InceptionV3.ImageSize * InceptionV3.ImageSize * 3]);
        network.Logits(tape, network.Features(tape, images));
    }
}
