namespace Diffusion.Gpu.Kernels;

/// <summary>The op half: one destination-passing method per primitive. Shapes were checked in Ops/; nothing is checked here.</summary>
/// <remarks>A <see cref="GradientTarget"/> whose tensor is null is not wanted; otherwise it is overwritten or added to.
/// A <see cref="ChannelSlice"/> is written and the channels beside it are not.
/// Every sum has an order that depends on shapes only, never on the number of threads or on the other samples of the batch.</remarks>
internal abstract partial class Backend
{
    // ---- Convolution and matrix product -------------------------------------------------------------------------

    /// <summary>y = epilogue(x ⋆ filter). x [N,H,W,C], filter [K,R,S,C], y K channels of [N,OutH,OutW,..].</summary>
    public abstract void Conv2DForward(in Conv2DShape s, in Conv2DInput x, Tensor filter, in Epilogue epilogue, in ChannelSlice y);

    /// <summary>y = SiLU(RMSNorm(x ⋆ filter + bias)), scaled and shifted in between.</summary>
    /// <param name="s">Sizes of the convolution.</param>
    /// <param name="x">[N,H,W,C].</param>
    /// <param name="filter">[K,R,S,C].</param>
    /// <param name="bias">[K], or null.</param>
    /// <param name="gain">[K], of the norm.</param>
    /// <param name="scaleShift">[N,2K]: scale then shift, or null.</param>
    /// <param name="convolved">[N,OutH,OutW,K], what is normalised, which the gradient reads; null where nobody will.</param>
    /// <param name="y">[N,OutH,OutW,K].</param>
    public virtual void Conv2DRmsNormSilu(in Conv2DShape s, in Conv2DInput x, Tensor filter, Tensor? bias, Tensor gain,
        Tensor? scaleShift, Tensor? convolved, Tensor y)
    {
        Conv2DForward(s, x, filter, new Epilogue(bias, null, Activation.None), ChannelSlice.Whole(convolved ?? y));
        RmsNormForward(new RowShape(s.N, s.OutH * s.OutW, s.K), convolved ?? y, gain, scaleShift, silu: true, y);
    }

    /// <summary>dx from dy [N,OutH,OutW,K] and the filter [K,R,S,C]; at least one of its tensors is wanted, and no two are one.</summary>
    public abstract void Conv2DBackwardInput(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx);

    /// <summary>dFilter [K,R,S,C] from x and dy.</summary>
    public abstract void Conv2DBackwardFilter(in Conv2DShape s, in Conv2DInput x, Tensor dy, GradientTarget dFilter);

    /// <summary>Both gradients of a convolution, of which dFilter may not be wanted.</summary>
    public virtual void Conv2DBackward(in Conv2DShape s, Tensor dy, Tensor filter, in Conv2DInputTarget dx, GradientTarget dFilter)
    {
        Conv2DBackwardFilter(s, dx.Input, dy, dFilter);
        Conv2DBackwardInput(s, dy, filter, dx);
    }

    /// <summary>C[b] = op(A[b]) · op(B[b]).</summary>
    public abstract void MatMul(in MatMulShape s, Tensor a, Tensor b, GradientTarget c);

    /// <summary>sum[c] over the rows of x [rows, columns]: the gradient of a bias.</summary>
    public abstract void ColumnSum(int rows, int columns, Tensor x, GradientTarget sum);

    // ---- Normalisation ------------------------------------------------------------------------------------------

    /// <summary>y = x / max(‖x‖, 1e-12) · √C · gain over the channels, then optionally ·(scale+1)+shift, then optionally SiLU.</summary>
    /// <param name="s">Rows of C channels.</param>
    /// <param name="x">[N,P,C].</param>
    /// <param name="gain">[C].</param>
    /// <param name="scaleShift">[N,2C]: scale then shift, or null.</param>
    /// <param name="silu">Whether SiLU follows.</param>
    /// <param name="y">[N,P,C]; may be x.</param>
    public abstract void RmsNormForward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor y);

    /// <summary>Gradients of <see cref="RmsNormForward"/>; the norm is computed again from x.</summary>
    public abstract void RmsNormBackward(in RowShape s, Tensor x, Tensor gain, Tensor? scaleShift, bool silu, Tensor dy,
        GradientTarget dx, GradientTarget dGain, GradientTarget dScaleShift);

    /// <summary>Normalises each group of channels of a sample to mean 0 and variance 1, then ·gain + bias.</summary>
    /// <param name="s">Rows of C channels.</param>
    /// <param name="groups">Divides C.</param>
    /// <param name="x">[N,P,C].</param>
    /// <param name="gain">[C].</param>
    /// <param name="bias">[C].</param>
    /// <param name="epsilon">Added to the variance.</param>
    /// <param name="y">[N,P,C].</param>
    /// <param name="statistics">[N,groups,2]: mean, 1/√(variance + epsilon); kept for the gradient.</param>
    public abstract void GroupNormForward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor bias, float epsilon, Tensor y,
        Tensor statistics);

    /// <summary>Gradients of <see cref="GroupNormForward"/>.</summary>
    public abstract void GroupNormBackward(in RowShape s, int groups, Tensor x, Tensor gain, Tensor statistics, Tensor dy,
        GradientTarget dx, GradientTarget dGain, GradientTarget dBias);

    // ---- Activations and softmax --------------------------------------------------------------------------------

    /// <summary>y = x · sigmoid(x).</summary>
    public abstract void SiluForward(Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="SiluForward"/>.</summary>
    public abstract void SiluBackward(Tensor x, Tensor dy, GradientTarget dx);

    /// <summary>y = x · ½(1 + erf(x/√2)), exact.</summary>
    public abstract void GeluForward(Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="GeluForward"/>.</summary>
    public abstract void GeluBackward(Tensor x, Tensor dy, GradientTarget dx);

    /// <summary>y = max(x, 0); NaN stays NaN.</summary>
    public abstract void ReluForward(Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="ReluForward"/> from its output: dy where y &gt; 0.</summary>
    public abstract void ReluBackward(Tensor y, Tensor dy, GradientTarget dx);

    /// <summary>Softmax along the middle axis.</summary>
    public abstract void SoftmaxForward(in AxisShape s, Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="SoftmaxForward"/> from its output.</summary>
    public abstract void SoftmaxBackward(in AxisShape s, Tensor y, Tensor dy, GradientTarget dx);

    // ---- Attention ----------------------------------------------------------------------------------------------

    /// <summary>softmax(q kᵀ · D^-½) v over M memory slots followed by T tokens.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="qkv">[N,T,3·Heads·D]: q, k, v, each head after head.</param>
    /// <param name="memory">[2,Heads,M,D]: keys, values.</param>
    /// <param name="y">[N,T,Heads·D].</param>
    /// <param name="logSumExp">[N,Heads,T]: kept for the gradient.</param>
    public abstract void AttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp);

    /// <summary>Gradients of <see cref="AttentionForward"/>; the weights are computed again from logSumExp.</summary>
    public abstract void AttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor logSumExp, Tensor dy,
        GradientTarget dQkv, GradientTarget dMemory);

    /// <summary>
    /// Linear attention: q ← softmax over D, times D^-½; k ← softmax over M + T; context = kᵀ v [D,D]; y = q · context.
    /// </summary>
    /// <param name="s">Sizes.</param>
    /// <param name="qkv">[N,T,3·Heads·D].</param>
    /// <param name="memory">[2,Heads,D,M]: keys, values (PyTorch's order here differs from full attention's).</param>
    /// <param name="y">[N,T,Heads·D].</param>
    /// <param name="keyStatistics">[N,Heads,2,D]: the maximum and the sum of exponentials of each key channel;
    /// kept for the gradient.</param>
    /// <param name="context">[N,Heads,D,D]: row = key channel, column = value channel; kept for the gradient.</param>
    public abstract void LinearAttentionForward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor y, Tensor keyStatistics,
        Tensor context);

    /// <summary>Gradients of <see cref="LinearAttentionForward"/>.</summary>
    /// <param name="s">Sizes.</param>
    /// <param name="qkv">As in the forward pass.</param>
    /// <param name="memory">As in the forward pass.</param>
    /// <param name="keyStatistics">From the forward pass.</param>
    /// <param name="context">From the forward pass.</param>
    /// <param name="dy">[N,T,Heads·D].</param>
    /// <param name="dContext">[N,Heads,D,D], a workspace.</param>
    /// <param name="dQkv">[N,T,3·Heads·D].</param>
    /// <param name="dMemory">[2,Heads,D,M].</param>
    public abstract void LinearAttentionBackward(in AttentionShape s, Tensor qkv, Tensor memory, Tensor keyStatistics, Tensor context,
        Tensor dy, Tensor dContext, GradientTarget dQkv, GradientTarget dMemory);

    // ---- Layout -------------------------------------------------------------------------------------------------

    /// <summary>y[n,h,w,4c+2p+q] = x[n,2h+p,2w+q,c]. x [N,2H,2W,C], y [N,H,W,4C]; n, h, w, c describe x.</summary>
    public abstract void SpaceToDepthForward(int n, int h, int w, int c, Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="SpaceToDepthForward"/>; n, h, w, c describe x.</summary>
    public abstract void SpaceToDepthBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx);

    /// <summary>Repeats every pixel of x [N,H,W,C] in a 2×2 block; n, h, w, c describe x.</summary>
    public abstract void NearestUpsampleForward(int n, int h, int w, int c, Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="NearestUpsampleForward"/>: sums each 2×2 block; n, h, w, c describe dx.</summary>
    public abstract void NearestUpsampleBackward(int n, int h, int w, int c, Tensor dy, GradientTarget dx);

    /// <summary>y = [a, b] along the channels. a [rows,columnsA], b [rows,columnsB].</summary>
    public abstract void ConcatForward(int rows, int columnsA, int columnsB, Tensor a, Tensor b, Tensor y);

    /// <summary>Gradients of <see cref="ConcatForward"/>.</summary>
    public abstract void ConcatBackward(int rows, int columnsA, int columnsB, Tensor dy, GradientTarget da, GradientTarget db);

    // ---- Element by element -------------------------------------------------------------------------------------

    /// <summary>y = a + b.</summary>
    public abstract void AddForward(Tensor a, Tensor b, Tensor y);

    /// <summary>target = x, or target += x.</summary>
    public abstract void Accumulate(Tensor x, GradientTarget target);

    /// <summary>y = x · (scale + 1) + shift per sample and channel. x [N,P,C], scaleShift [N,2C].</summary>
    public abstract void ScaleShiftForward(in RowShape s, Tensor x, Tensor scaleShift, Tensor y);

    /// <summary>Gradients of <see cref="ScaleShiftForward"/>.</summary>
    public abstract void ScaleShiftBackward(in RowShape s, Tensor x, Tensor scaleShift, Tensor dy, GradientTarget dx,
        GradientTarget dScaleShift);

    /// <summary>
    /// y = x / (1 − rate) where the value's uniform number is at least rate, else 0. Its own gradient: the mask is drawn again.
    /// </summary>
    /// <param name="rate">In [0, 1).</param>
    /// <param name="key">Names the numbers; the first axis of x is the sample.</param>
    /// <param name="x">[N,…].</param>
    /// <param name="y">[N,…].</param>
    public abstract void Dropout(float rate, in RandomKey key, Tensor x, GradientTarget y);

    // ---- Pooling and resizing -----------------------------------------------------------------------------------

    /// <summary>The largest value of each window; padding never wins; NaN wins.</summary>
    public abstract void MaxPool2DForward(in PoolShape s, Tensor x, in ChannelSlice y);

    /// <summary>Gradient of <see cref="MaxPool2DForward"/>: each window's dy goes to its first maximum in reading order.</summary>
    public abstract void MaxPool2DBackward(in PoolShape s, Tensor x, Tensor dy, GradientTarget dx);

    /// <summary>The mean of each window.</summary>
    public abstract void AveragePool2DForward(in PoolShape s, Tensor x, in ChannelSlice y);

    /// <summary>Gradient of <see cref="AveragePool2DForward"/>.</summary>
    public abstract void AveragePool2DBackward(in PoolShape s, Tensor dy, GradientTarget dx);

    /// <summary>The mean over all positions. x [N,P,C], y [N,C].</summary>
    public abstract void GlobalAveragePoolForward(in RowShape s, Tensor x, Tensor y);

    /// <summary>Gradient of <see cref="GlobalAveragePoolForward"/>; dy [N,C].</summary>
    public abstract void GlobalAveragePoolBackward(in RowShape s, Tensor dy, GradientTarget dx);

    /// <summary>Separable linear resize of x [N,H,W,C]; its gradient is the same call with transposed taps.</summary>
    public abstract void Resize(int n, int c, ResizeTaps vertical, ResizeTaps horizontal, Tensor x, GradientTarget y);

    // ---- Embeddings of time -------------------------------------------------------------------------------------

    /// <summary>y[n] = [sin(t f), cos(t f)] with f_i = exp(−i ln(theta) / (dim/2 − 1)), accurate for t up to 10,000. times [N],
    /// y [N,dim].</summary>
    public abstract void SinusoidalEmbedding(int n, int dim, float theta, Tensor times, Tensor y);

    /// <summary>y[n] = [t, sin(2π t w), cos(2π t w)]. times [N], weights [half], y [N,1+2·half].</summary>
    public abstract void FourierEmbeddingForward(int n, int half, Tensor times, Tensor weights, Tensor y);

    /// <summary>Gradient of <see cref="FourierEmbeddingForward"/> with respect to the weights.</summary>
    public abstract void FourierEmbeddingBackward(int n, int half, Tensor times, Tensor weights, Tensor dy, GradientTarget dWeights);

    // ---- Loss ---------------------------------------------------------------------------------------------------

    /// <summary>loss [1] = mean over n of weights[n] · mean over p of (prediction − target)². prediction, target [N,P];
    /// weights [N] or null.</summary>
    public abstract void MeanSquaredErrorForward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor loss);

    /// <summary>Gradient of <see cref="MeanSquaredErrorForward"/> with respect to the prediction; dLoss [1].</summary>
    public abstract void MeanSquaredErrorBackward(int n, int p, Tensor prediction, Tensor target, Tensor? weights, Tensor dLoss,
        GradientTarget dPrediction);

    // ---- Without gradients --------------------------------------------------------------------------------------

    /// <summary>Sets every value.</summary>
    public abstract void Fill(Tensor y, float value);

    /// <summary>Fills y [N,…] with standard normal numbers (Philox.Normal), the same bits on every backend.</summary>
    public abstract void FillNormal(in RandomKey key, Tensor y);

    /// <summary>Fills y [N,…] with uniform numbers in [0, 1) (Philox.Uniform), the same bits on every backend.</summary>
    public abstract void FillUniform(in RandomKey key, Tensor y);

    /// <summary>
    /// y[n] = clamp(c[n,0]·x[n] + c[n,1]·z[n] + c[n,2]·w[n]): q-sample, targets, the inverse maps and every sampler's update.
    /// </summary>
    /// <param name="n">Samples.</param>
    /// <param name="p">Values per sample.</param>
    /// <param name="coefficients">[N,3].</param>
    /// <param name="x">[N,P].</param>
    /// <param name="z">[N,P] or null.</param>
    /// <param name="w">[N,P] or null.</param>
    /// <param name="clamp">Limits to [−clamp, clamp]; infinite for none. NaN stays NaN.</param>
    /// <param name="y">[N,P], may be x, z or w.</param>
    public abstract void LinearCombination(int n, int p, Tensor coefficients, Tensor x, Tensor? z, Tensor? w, float clamp, Tensor y);

    /// <summary>y[n,p,c] = x[n,p,c] + strength · offset[n,c]: offset noise.</summary>
    public abstract void AddPerChannel(in RowShape s, Tensor x, Tensor offset, float strength, Tensor y);

    /// <summary>result [1] = Σ x².</summary>
    public abstract void SumOfSquares(Tensor x, Tensor result);

    /// <summary>One Adam step over all parameters at once.</summary>
    /// <param name="step">Constants.</param>
    /// <param name="value">Overwritten.</param>
    /// <param name="gradient">Read only; clipping is applied while reading.</param>
    /// <param name="firstMoment">Overwritten.</param>
    /// <param name="secondMoment">Overwritten.</param>
    /// <param name="squaredNorm">[1], the sum of squares of the gradient.</param>
    public abstract void Adam(in AdamStep step, Tensor value, Tensor gradient, Tensor firstMoment, Tensor secondMoment,
        Tensor squaredNorm);

    /// <summary>average += weight · (value − average).</summary>
    public abstract void Lerp(Tensor average, Tensor value, float weight);

    // ---- Matrices in double precision -----------------------------------------------------------------------------

    /// <summary>C = Alpha · op(A) · op(B) + Beta · addend + Gamma · I; c may be the addend, but neither operand.</summary>
    public abstract void MatrixProduct(in MatrixProductShape s, Matrix a, Matrix b, Matrix? addend, Matrix c);

    /// <summary>a [n,n] becomes L with a = L · Lᵀ and zeros above the diagonal; only the part on and below it is read. Where a is not
    /// positive definite, L's trace is NaN.</summary>
    public abstract void MatrixCholesky(Matrix a);

    /// <summary>sum [1,1] = Σ over i &lt; count of a[i·step] · b[i·step], or of a[i·step] where b is null.</summary>
    public abstract void MatrixSum(Matrix a, Matrix? b, long count, int step, Matrix sum);

    /// <summary>target[first + i] = source[firstSource + i], exact.</summary>
    public abstract void MatrixWiden(Tensor source, long firstSource, long first, long count, Matrix target);

    /// <summary>target[i] = factor · source[i], rounded to 32 bits.</summary>
    public abstract void MatrixRound(Matrix source, double factor, Tensor target);
}
