namespace Diffusion.Gpu.Training;

/// <summary>A model out of a checkpoint, ready to be sampled from.</summary>
public sealed class TrainedModel : IDisposable
{
    internal TrainedModel(Checkpoint checkpoint, Unet unet, GaussianDiffusion diffusion)
    {
        Checkpoint = checkpoint;
        Unet = unet;
        Diffusion = diffusion;
    }

    /// <summary>Where the model comes from, with its options and its age in steps.</summary>
    public Checkpoint Checkpoint { get; }

    /// <summary>The network.</summary>
    public Unet Unet { get; }

    /// <summary>The process that the network was trained for.</summary>
    public GaussianDiffusion Diffusion { get; }

    /// <summary>Returns the weights' memory.</summary>
    public void Dispose() => Unet.Dispose();
}
